ALTER TABLE "deployments" ADD COLUMN "settle_by" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "deployments" ADD COLUMN "deadline_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "deployments" ADD COLUMN "deadline_claimed_until" timestamp with time zone;