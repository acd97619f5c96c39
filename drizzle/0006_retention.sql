CREATE TABLE "archives" (
	"deployment_id" text PRIMARY KEY NOT NULL,
	"strategy_id" text NOT NULL,
	"timeline" boolean NOT NULL,
	"archived_at" timestamp (3) with time zone DEFAULT serin_now() NOT NULL,
	"last_xid" "xid8" NOT NULL,
	"last_id" bigint NOT NULL,
	"content" "bytea" NOT NULL
);
--> statement-breakpoint
ALTER TABLE "deployments" ADD COLUMN "arrived_at" timestamp (3) with time zone DEFAULT serin_now() NOT NULL;--> statement-breakpoint
ALTER TABLE "archives" ADD CONSTRAINT "archives_deployment_id_deployments_id_fk" FOREIGN KEY ("deployment_id") REFERENCES "public"."deployments"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "archives_order" ON "archives" USING btree ("last_xid","last_id");