CREATE TABLE "trade_books" (
	"deployment_id" text NOT NULL,
	"side" text NOT NULL,
	"book" jsonb NOT NULL,
	CONSTRAINT "trade_books_deployment_id_side_pk" PRIMARY KEY("deployment_id","side")
);
--> statement-breakpoint
CREATE TABLE "trade_checkpoints" (
	"deployment_id" text NOT NULL,
	"side" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"curve" jsonb NOT NULL,
	CONSTRAINT "trade_checkpoints_deployment_id_side_at_pk" PRIMARY KEY("deployment_id","side","at")
);
--> statement-breakpoint
CREATE TABLE "trades" (
	"deployment_id" text NOT NULL,
	"side" text NOT NULL,
	"id" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"pnl_usd" numeric(38, 18),
	"fees_usd" numeric(38, 18) NOT NULL,
	"gas_usd" numeric(38, 18) NOT NULL,
	"notional_usd" numeric(38, 18),
	"error" text,
	"capital_usd" numeric(38, 18) NOT NULL,
	"recorded_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "trades_deployment_id_side_id_pk" PRIMARY KEY("deployment_id","side","id"),
	CONSTRAINT "trades_kind" CHECK (("trades"."error" is null) = ("trades"."pnl_usd" is not null)),
	CONSTRAINT "trades_capital" CHECK ("trades"."capital_usd" > 0)
);
--> statement-breakpoint
ALTER TABLE "side_metrics" ADD COLUMN "source" text DEFAULT 'TOTALS' NOT NULL;--> statement-breakpoint
ALTER TABLE "trade_books" ADD CONSTRAINT "trade_books_deployment_id_deployments_id_fk" FOREIGN KEY ("deployment_id") REFERENCES "public"."deployments"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "trade_checkpoints" ADD CONSTRAINT "trade_checkpoints_book" FOREIGN KEY ("deployment_id","side") REFERENCES "public"."trade_books"("deployment_id","side") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "trades" ADD CONSTRAINT "trades_book" FOREIGN KEY ("deployment_id","side") REFERENCES "public"."trade_books"("deployment_id","side") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "trades_time" ON "trades" USING btree ("deployment_id","side","at","id");--> statement-breakpoint
ALTER TABLE "side_metrics" ADD CONSTRAINT "side_metrics_source" CHECK ("side_metrics"."source" in ('TOTALS', 'TRADES'));