ALTER TABLE "side_metrics" ADD COLUMN "unrealized_pnl_usd" numeric(38, 18);--> statement-breakpoint
ALTER TABLE "side_metrics" ADD COLUMN "as_of" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "side_metrics" ADD COLUMN "run" jsonb;