ALTER TABLE "api_keys" ADD COLUMN "folded_name" text;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "sides" text[];--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "person" text;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "made_by" text;--> statement-breakpoint
ALTER TABLE "strategies" ADD COLUMN "require_approval" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "strategies" ADD COLUMN "approval_lift" jsonb;--> statement-breakpoint
CREATE UNIQUE INDEX "api_keys_folded_name" ON "api_keys" USING btree ("folded_name") WHERE "api_keys"."revoked_at" is null;--> statement-breakpoint
UPDATE "strategies" SET "require_approval" = true WHERE "id" IN (
  SELECT "strategy_id" FROM "deployments" WHERE "ended_at" IS NULL AND "config" ->> 'requireApproval' = 'true'
);
