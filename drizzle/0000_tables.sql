CREATE TABLE "clock" (
	"id" integer PRIMARY KEY DEFAULT 1 NOT NULL,
	"epoch" timestamp with time zone NOT NULL,
	"anchored_at" timestamp with time zone NOT NULL,
	"rate" numeric NOT NULL,
	CONSTRAINT "clock_one_row" CHECK ("clock"."id" = 1),
	CONSTRAINT "clock_rate" CHECK ("clock"."rate" >= 1)
);
--> statement-breakpoint
CREATE TABLE "deployments" (
	"id" text PRIMARY KEY NOT NULL,
	"strategy_id" text NOT NULL,
	"chain" text NOT NULL,
	"stable_version_id" text NOT NULL,
	"canary_version_id" text NOT NULL,
	"status" text NOT NULL,
	"revision" integer NOT NULL,
	"event_count" integer NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"created_by" text NOT NULL,
	"started_at" timestamp (3) with time zone,
	"ended_at" timestamp (3) with time zone,
	"observation_deadline" timestamp (3) with time zone,
	"canary_percent" numeric NOT NULL,
	"total_capital_usd" numeric(38, 18),
	"canary_capital_usd" numeric(38, 18),
	"stable_capital_usd" numeric(38, 18),
	"config" jsonb NOT NULL,
	"detail" jsonb NOT NULL,
	"breaches" jsonb NOT NULL,
	"next_check_at" timestamp (3) with time zone,
	"lease_until" timestamp with time zone,
	"lease_token" text,
	CONSTRAINT "deployments_status_known" CHECK ("deployments"."status" in ('PENDING', 'RUNNING', 'PAUSED', 'OBSERVATION_COMPLETE', 'PROMOTED', 'ROLLED_BACK', 'CANCELLED', 'FAILED')),
	CONSTRAINT "deployments_percent" CHECK ("deployments"."canary_percent" between 0 and 100),
	CONSTRAINT "deployments_capital" CHECK ("deployments"."canary_capital_usd" + "deployments"."stable_capital_usd" = "deployments"."total_capital_usd"
        and "deployments"."canary_capital_usd" >= 0 and "deployments"."stable_capital_usd" >= 0),
	CONSTRAINT "deployments_revision" CHECK ("deployments"."revision" >= 1 and "deployments"."event_count" >= 1),
	CONSTRAINT "deployments_ended" CHECK (("deployments"."ended_at" is null) = ("deployments"."status" in ('PENDING', 'RUNNING', 'PAUSED', 'OBSERVATION_COMPLETE'))),
	CONSTRAINT "deployments_watched" CHECK ("deployments"."next_check_at" is null or "deployments"."ended_at" is null)
);
--> statement-breakpoint
CREATE TABLE "events" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"xid" "xid8" DEFAULT pg_current_xact_id() NOT NULL,
	"deployment_id" text NOT NULL,
	"strategy_id" text NOT NULL,
	"no" integer NOT NULL,
	"type" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"actor" text NOT NULL,
	"revision" integer NOT NULL,
	"timeline" boolean NOT NULL,
	"previous_status" text,
	"status" text,
	"payload" jsonb NOT NULL,
	CONSTRAINT "events_no" CHECK ("events"."no" >= 1),
	CONSTRAINT "events_status_change" CHECK (("events"."previous_status" is null) = ("events"."status" is null))
);
--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"actor" text NOT NULL,
	"key" text NOT NULL,
	"request" text NOT NULL,
	"answer" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "idempotency_keys_actor_key_pk" PRIMARY KEY("actor","key")
);
--> statement-breakpoint
CREATE TABLE "samples" (
	"deployment_id" text NOT NULL,
	"check" integer NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"decision" text NOT NULL,
	"metrics" jsonb NOT NULL,
	CONSTRAINT "samples_deployment_id_check_pk" PRIMARY KEY("deployment_id","check")
);
--> statement-breakpoint
CREATE TABLE "side_metrics" (
	"deployment_id" text NOT NULL,
	"side" text NOT NULL,
	"net_pnl_usd" numeric(38, 18),
	"total_pnl_usd" numeric(38, 18),
	"max_drawdown" numeric(38, 18),
	"sharpe_ratio" numeric(38, 18),
	"win_rate" numeric(38, 18),
	"trades" bigint,
	"errors" bigint,
	"total_gas_usd" numeric(38, 18),
	"avg_trade_size_usd" numeric(38, 18),
	"uptime_seconds" bigint,
	"reported_at" timestamp (3) with time zone NOT NULL,
	"version" bigint NOT NULL,
	CONSTRAINT "side_metrics_deployment_id_side_pk" PRIMARY KEY("deployment_id","side"),
	CONSTRAINT "side_metrics_side" CHECK ("side_metrics"."side" in ('CANARY', 'STABLE')),
	CONSTRAINT "side_metrics_counts" CHECK ("side_metrics"."trades" >= 0 and "side_metrics"."errors" >= 0)
);
--> statement-breakpoint
CREATE TABLE "strategies" (
	"id" text PRIMARY KEY NOT NULL,
	"stable_version_id" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "deployments" ADD CONSTRAINT "deployments_strategy_id_strategies_id_fk" FOREIGN KEY ("strategy_id") REFERENCES "public"."strategies"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "events" ADD CONSTRAINT "events_deployment_id_deployments_id_fk" FOREIGN KEY ("deployment_id") REFERENCES "public"."deployments"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "samples" ADD CONSTRAINT "samples_deployment_id_deployments_id_fk" FOREIGN KEY ("deployment_id") REFERENCES "public"."deployments"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "side_metrics" ADD CONSTRAINT "side_metrics_deployment_id_deployments_id_fk" FOREIGN KEY ("deployment_id") REFERENCES "public"."deployments"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "deployments_one_live" ON "deployments" USING btree ("strategy_id","chain") WHERE "deployments"."status" in ('PENDING', 'RUNNING', 'PAUSED', 'OBSERVATION_COMPLETE');--> statement-breakpoint
CREATE INDEX "deployments_due" ON "deployments" USING btree ("next_check_at") WHERE "deployments"."next_check_at" is not null;--> statement-breakpoint
CREATE INDEX "deployments_created" ON "deployments" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "deployments_strategy" ON "deployments" USING btree ("strategy_id","created_at","id");--> statement-breakpoint
CREATE INDEX "deployments_status" ON "deployments" USING btree ("status","created_at","id");--> statement-breakpoint
CREATE UNIQUE INDEX "events_number" ON "events" USING btree ("deployment_id","no");--> statement-breakpoint
CREATE INDEX "events_order" ON "events" USING btree ("xid","id");--> statement-breakpoint
CREATE INDEX "events_strategy" ON "events" USING btree ("strategy_id","xid","id");--> statement-breakpoint
CREATE INDEX "events_decisions" ON "events" USING btree ("deployment_id","no") WHERE "events"."type" = 'DECISION_MADE';--> statement-breakpoint
CREATE UNIQUE INDEX "events_one_terminal" ON "events" USING btree ("deployment_id") WHERE "events"."type" in ('CANARY_PROMOTED', 'CANARY_ROLLED_BACK', 'CANARY_CANCELLED', 'CANARY_FAILED');--> statement-breakpoint
CREATE INDEX "idempotency_keys_created" ON "idempotency_keys" USING btree ("created_at");