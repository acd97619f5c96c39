-- concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS "audit_records_subject" ON "audit_records" USING btree ("subject","id");--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "audit_records_actor" ON "audit_records" USING btree ("actor","id");