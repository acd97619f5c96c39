CREATE TABLE "loss_budget_baselines" (
	"budget_id" text NOT NULL,
	"deployment_id" text NOT NULL,
	"net_pnl_usd" numeric(38, 18) NOT NULL,
	CONSTRAINT "loss_budget_baselines_budget_id_deployment_id_pk" PRIMARY KEY("budget_id","deployment_id")
);
--> statement-breakpoint
CREATE TABLE "loss_budget_rounds" (
	"id" integer PRIMARY KEY DEFAULT 1 NOT NULL,
	"claimed_until" timestamp with time zone NOT NULL,
	"ended_at" timestamp with time zone NOT NULL,
	CONSTRAINT "loss_budget_rounds_one_row" CHECK ("loss_budget_rounds"."id" = 1)
);
--> statement-breakpoint
CREATE TABLE "loss_budgets" (
	"id" text PRIMARY KEY NOT NULL,
	"seq" bigserial NOT NULL,
	"name" text NOT NULL,
	"strategies" text[] NOT NULL,
	"window_hours" integer NOT NULL,
	"max_loss_usd" numeric(38, 18) NOT NULL,
	"action" text NOT NULL,
	"count" text NOT NULL,
	"rearm" text NOT NULL,
	"state" text DEFAULT 'ARMED' NOT NULL,
	"counts_from" timestamp (3) with time zone,
	"baseline_at" timestamp (3) with time zone,
	"tripped_at" timestamp (3) with time zone,
	"tripped_loss_usd" numeric(38, 18),
	"trips" integer DEFAULT 0 NOT NULL,
	"acting" boolean DEFAULT false NOT NULL,
	"acting_until" timestamp with time zone,
	"created_by" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT serin_now() NOT NULL,
	"deleted_by" text,
	"deleted_at" timestamp (3) with time zone,
	CONSTRAINT "loss_budgets_window" CHECK ("loss_budgets"."window_hours" >= 1 and "loss_budgets"."max_loss_usd" > 0),
	CONSTRAINT "loss_budgets_tripped" CHECK (("loss_budgets"."state" = 'TRIPPED') = ("loss_budgets"."tripped_at" is not null)),
	CONSTRAINT "loss_budgets_deleted" CHECK (("loss_budgets"."deleted_by" is null) = ("loss_budgets"."deleted_at" is null))
);
--> statement-breakpoint
ALTER TABLE "freezes" ADD COLUMN "loss_budget_id" text;--> statement-breakpoint
CREATE INDEX "loss_budgets_seq" ON "loss_budgets" USING btree ("seq");