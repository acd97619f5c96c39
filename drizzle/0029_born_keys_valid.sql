-- concurrently
ALTER TABLE "events" VALIDATE CONSTRAINT "events_deployment";--> statement-breakpoint
ALTER TABLE "samples" VALIDATE CONSTRAINT "samples_deployment";--> statement-breakpoint
ALTER TABLE "trades" VALIDATE CONSTRAINT "trades_deployment";
