CREATE TABLE "incarnations" (
	"number" integer PRIMARY KEY NOT NULL,
	"epoch" integer NOT NULL,
	"mark" text NOT NULL,
	"postmaster_started_at" timestamp with time zone NOT NULL,
	"system_identifier" text,
	"timeline" text,
	"found_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"last_xid" "xid8",
	"last_id" bigint
);
--> statement-breakpoint
ALTER TABLE "events" ADD COLUMN "incarnation" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "webhooks" ADD COLUMN "cursor_incarnation" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "webhook_deliveries" ADD COLUMN "epoch" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "archives" ADD COLUMN "last_incarnation" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
-- All that is in the log is of the first one. Where its transaction ids lie ahead of the counter it was written elsewhere:
-- then the first node begins the second.
INSERT INTO "incarnations" ("number", "epoch", "mark", "postmaster_started_at")
SELECT 1, 1, substr(md5(random()::text || clock_timestamp()::text), 1, 8),
	CASE WHEN EXISTS (SELECT FROM "events" WHERE "xid" >= pg_current_xact_id()) THEN '-infinity' ELSE pg_postmaster_start_time() END;
--> statement-breakpoint
-- The incarnation that an event is written in. A server that no node has found yet writes nothing: SI001 asks for it.
CREATE FUNCTION serin_incarnation() RETURNS integer LANGUAGE plpgsql STABLE AS $$
DECLARE latest record;
BEGIN
	SELECT "number", "postmaster_started_at" INTO latest FROM "incarnations" ORDER BY "number" DESC LIMIT 1;
	IF latest."postmaster_started_at" IS DISTINCT FROM pg_postmaster_start_time() THEN
		RAISE EXCEPTION 'this start of PostgreSQL has no incarnation yet' USING ERRCODE = 'SI001';
	END IF;
	RETURN latest."number";
END $$;
--> statement-breakpoint
ALTER TABLE "events" ALTER COLUMN "incarnation" SET DEFAULT serin_incarnation();
