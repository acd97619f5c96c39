-- concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS "events_log" ON "events" USING btree ("incarnation","xid","id");--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "events_strategy_log" ON "events" USING btree ("strategy_id","incarnation","xid","id");--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "archives_log" ON "archives" USING btree ("last_incarnation","last_xid","last_id");--> statement-breakpoint
DROP INDEX CONCURRENTLY IF EXISTS "events_order";--> statement-breakpoint
DROP INDEX CONCURRENTLY IF EXISTS "events_strategy";--> statement-breakpoint
DROP INDEX CONCURRENTLY IF EXISTS "archives_order";
