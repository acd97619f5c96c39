-- concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS "deployments_ended" ON "deployments" USING btree ("ended_at");--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "samples_time" ON "samples" USING btree ("deployment_id","at");