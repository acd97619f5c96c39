-- concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS "deployments_deadline" ON "deployments" USING btree ("deadline_at") WHERE "deployments"."deadline_at" is not null;--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "deployments_unsettled" ON "deployments" USING btree ("strategy_id","chain","settle_by") WHERE "deployments"."settle_by" is not null;