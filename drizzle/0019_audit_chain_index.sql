-- concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS "audit_records_order" ON "audit_records" USING btree ("incarnation","xid","id");