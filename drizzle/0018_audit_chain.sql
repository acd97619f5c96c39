CREATE TABLE "audit_blocks" (
	"number" bigint PRIMARY KEY NOT NULL,
	"sealed_at" timestamp (3) with time zone NOT NULL,
	"last_incarnation" integer NOT NULL,
	"last_xid" "xid8" NOT NULL,
	"last_id" bigint NOT NULL,
	"record_ids" bigint[] NOT NULL,
	"record_hashes" "bytea" NOT NULL,
	"hash" "bytea" NOT NULL
);
--> statement-breakpoint
-- Constants first: existing records get 0 without being rewritten, and come before all others.
ALTER TABLE "audit_records" ADD COLUMN "incarnation" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "audit_records" ADD COLUMN "xid" "xid8" DEFAULT '0' NOT NULL;--> statement-breakpoint
ALTER TABLE "audit_records" ALTER COLUMN "incarnation" SET DEFAULT serin_incarnation();--> statement-breakpoint
ALTER TABLE "audit_records" ALTER COLUMN "xid" SET DEFAULT pg_current_xact_id();
