DROP INDEX "trades_time";--> statement-breakpoint
CREATE INDEX "trades_time" ON "trades" USING btree ("deployment_id","side","at");