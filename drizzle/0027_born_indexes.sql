-- concurrently
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "deployments_born" ON "deployments" USING btree ("id","born");--> statement-breakpoint
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "trade_books_born" ON "trade_books" USING btree ("deployment_id","side","born");--> statement-breakpoint
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "events_first_pkey" ON "events" USING btree ("id","born");--> statement-breakpoint
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "events_first_number" ON "events" USING btree ("deployment_id","no","born");--> statement-breakpoint
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "events_first_one_terminal" ON "events" USING btree ("deployment_id","born") WHERE "type" in ('CANARY_PROMOTED', 'CANARY_ROLLED_BACK', 'CANARY_CANCELLED', 'CANARY_FAILED');--> statement-breakpoint
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "samples_first_pkey" ON "samples" USING btree ("deployment_id","check","born");--> statement-breakpoint
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "trades_first_pkey" ON "trades" USING btree ("deployment_id","side","id","born");--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "trades_first_time" ON "trades" USING btree (("deployment_id" || '/' || "side"),"at");--> statement-breakpoint
ALTER TABLE "events" VALIDATE CONSTRAINT "events_first_month";--> statement-breakpoint
ALTER TABLE "samples" VALIDATE CONSTRAINT "samples_first_month";--> statement-breakpoint
ALTER TABLE "trades" VALIDATE CONSTRAINT "trades_first_month";
