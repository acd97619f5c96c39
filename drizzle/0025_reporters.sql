ALTER TABLE "side_metrics" ADD COLUMN "reported_by" text;--> statement-breakpoint
ALTER TABLE "side_metrics" ADD COLUMN "reported_as" text;