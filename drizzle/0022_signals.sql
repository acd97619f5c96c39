CREATE TABLE "signals" (
	"deployment_id" text NOT NULL,
	"signal_id" text NOT NULL,
	"canary_usd" numeric(38, 18),
	"canary_capital_usd" numeric(38, 18),
	"canary_at" timestamp (3) with time zone,
	"stable_usd" numeric(38, 18),
	"stable_capital_usd" numeric(38, 18),
	"stable_at" timestamp (3) with time zone,
	"state" text DEFAULT 'OPEN' NOT NULL,
	CONSTRAINT "signals_deployment_id_signal_id_pk" PRIMARY KEY("deployment_id","signal_id"),
	CONSTRAINT "signals_state" CHECK ("signals"."state" in ('OPEN', 'PAIRED', 'FORGOTTEN'))
);
--> statement-breakpoint
ALTER TABLE "trades" ADD COLUMN "signal_id" text;--> statement-breakpoint
ALTER TABLE "signals" ADD CONSTRAINT "signals_deployment_id_deployments_id_fk" FOREIGN KEY ("deployment_id") REFERENCES "deployments"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "signals_open" ON "signals" USING btree ("deployment_id") WHERE "signals"."state" = 'OPEN';