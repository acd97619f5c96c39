-- The tables become the first partitions of tables of the same names. Only the catalog changes: a few milliseconds. It waits
-- for a lock less than `deadlock_timeout`, so that a session in its way is never the one that is ended.
SET LOCAL lock_timeout = '500ms';--> statement-breakpoint
LOCK TABLE "deployments", "trade_books", "events", "samples", "trades" IN ACCESS EXCLUSIVE MODE;--> statement-breakpoint
-- A row of an earlier version, which does not write the month, gets that of its deployment: it moves to that partition.
CREATE FUNCTION serin_find_month() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE actual date;
BEGIN
	EXECUTE format('SELECT "born" FROM %I."deployments" WHERE "id" = $1', TG_TABLE_SCHEMA) INTO actual USING NEW."deployment_id";
	IF actual IS NULL OR actual = NEW."born" THEN RETURN NEW; END IF;
	NEW."born" := actual;
	IF TG_NARGS = 0 THEN RETURN NEW; END IF;
	EXECUTE format('INSERT INTO %I.%I SELECT ($1).*', TG_TABLE_SCHEMA, TG_ARGV[0]) USING NEW;
	RETURN NULL;
END $$;--> statement-breakpoint
ALTER TABLE "events" RENAME TO "events_first";--> statement-breakpoint
ALTER TABLE "events_first" DROP CONSTRAINT "events_pkey", DROP CONSTRAINT "events_deployment_id_deployments_id_fk", ADD CONSTRAINT "events_first_pkey" PRIMARY KEY USING INDEX "events_first_pkey";--> statement-breakpoint
DROP INDEX "events_number";--> statement-breakpoint
DROP INDEX "events_one_terminal";--> statement-breakpoint
ALTER INDEX "events_log" RENAME TO "events_first_log";--> statement-breakpoint
ALTER INDEX "events_strategy_log" RENAME TO "events_first_strategy_log";--> statement-breakpoint
ALTER INDEX "events_decisions" RENAME TO "events_first_decisions";--> statement-breakpoint
CREATE TABLE "events" (
	LIKE "events_first" INCLUDING DEFAULTS,
	CONSTRAINT "events_pkey" PRIMARY KEY("id","born"),
	CONSTRAINT "events_no" CHECK ("no" >= 1),
	CONSTRAINT "events_status_change" CHECK (("previous_status" is null) = ("status" is null)),
	CONSTRAINT "events_deployment" FOREIGN KEY ("deployment_id","born") REFERENCES "deployments"("id","born")
) PARTITION BY RANGE ("born");--> statement-breakpoint
CREATE UNIQUE INDEX "events_number" ON "events" USING btree ("deployment_id","no","born");--> statement-breakpoint
CREATE INDEX "events_log" ON "events" USING btree ("incarnation","xid","id");--> statement-breakpoint
CREATE INDEX "events_strategy_log" ON "events" USING btree ("strategy_id","incarnation","xid","id");--> statement-breakpoint
CREATE INDEX "events_decisions" ON "events" USING btree ("deployment_id","no") WHERE "type" = 'DECISION_MADE';--> statement-breakpoint
CREATE UNIQUE INDEX "events_one_terminal" ON "events" USING btree ("deployment_id","born") WHERE "type" in ('CANARY_PROMOTED', 'CANARY_ROLLED_BACK', 'CANARY_CANCELLED', 'CANARY_FAILED');--> statement-breakpoint
ALTER TABLE "events" ATTACH PARTITION "events_first" FOR VALUES FROM (MINVALUE) TO ('1970-02-01');--> statement-breakpoint
ALTER TABLE "events_first" DROP CONSTRAINT "events_first_month";--> statement-breakpoint
CREATE TABLE "events_default" PARTITION OF "events" DEFAULT;--> statement-breakpoint
CREATE TRIGGER "events_first_month" BEFORE INSERT ON "events_first" FOR EACH ROW WHEN (NEW."born" = '1970-01-01') EXECUTE FUNCTION serin_find_month('events');--> statement-breakpoint
CREATE TRIGGER "events_default_month" BEFORE INSERT ON "events_default" FOR EACH ROW WHEN (NEW."born" = '1970-01-01') EXECUTE FUNCTION serin_find_month('events');--> statement-breakpoint
ALTER SEQUENCE "events_id_seq" OWNED BY "events"."id";--> statement-breakpoint
ALTER TABLE "samples" RENAME TO "samples_first";--> statement-breakpoint
ALTER TABLE "samples_first" DROP CONSTRAINT "samples_deployment_id_check_pk", DROP CONSTRAINT "samples_deployment_id_deployments_id_fk", ADD CONSTRAINT "samples_first_pkey" PRIMARY KEY USING INDEX "samples_first_pkey";--> statement-breakpoint
ALTER INDEX "samples_time" RENAME TO "samples_first_time";--> statement-breakpoint
CREATE TABLE "samples" (
	LIKE "samples_first" INCLUDING DEFAULTS,
	CONSTRAINT "samples_pkey" PRIMARY KEY("deployment_id","check","born"),
	CONSTRAINT "samples_deployment" FOREIGN KEY ("deployment_id","born") REFERENCES "deployments"("id","born")
) PARTITION BY RANGE ("born");--> statement-breakpoint
CREATE INDEX "samples_time" ON "samples" USING btree ("deployment_id","at");--> statement-breakpoint
ALTER TABLE "samples" ATTACH PARTITION "samples_first" FOR VALUES FROM (MINVALUE) TO ('1970-02-01');--> statement-breakpoint
ALTER TABLE "samples_first" DROP CONSTRAINT "samples_first_month";--> statement-breakpoint
CREATE TABLE "samples_default" PARTITION OF "samples" DEFAULT;--> statement-breakpoint
CREATE TRIGGER "samples_first_month" BEFORE INSERT ON "samples_first" FOR EACH ROW WHEN (NEW."born" = '1970-01-01') EXECUTE FUNCTION serin_find_month('samples');--> statement-breakpoint
CREATE TRIGGER "samples_default_month" BEFORE INSERT ON "samples_default" FOR EACH ROW WHEN (NEW."born" = '1970-01-01') EXECUTE FUNCTION serin_find_month('samples');--> statement-breakpoint
ALTER TABLE "trade_books" DROP CONSTRAINT "trade_books_deployment_id_deployments_id_fk";--> statement-breakpoint
CREATE TRIGGER "trade_books_month" BEFORE INSERT ON "trade_books" FOR EACH ROW WHEN (NEW."born" = '1970-01-01') EXECUTE FUNCTION serin_find_month();--> statement-breakpoint
ALTER TABLE "trades" RENAME TO "trades_first";--> statement-breakpoint
ALTER TABLE "trades_first" DROP CONSTRAINT "trades_deployment_id_side_id_pk", DROP CONSTRAINT "trades_book", ADD CONSTRAINT "trades_first_pkey" PRIMARY KEY USING INDEX "trades_first_pkey";--> statement-breakpoint
DROP INDEX "trades_time";--> statement-breakpoint
CREATE TABLE "trades" (
	LIKE "trades_first" INCLUDING DEFAULTS,
	CONSTRAINT "trades_pkey" PRIMARY KEY("deployment_id","side","id","born"),
	CONSTRAINT "trades_kind" CHECK (("error" is null) = ("pnl_usd" is not null)),
	CONSTRAINT "trades_capital" CHECK ("capital_usd" > 0),
	CONSTRAINT "trades_book_born" FOREIGN KEY ("deployment_id","side","born") REFERENCES "trade_books"("deployment_id","side","born") ON DELETE cascade
) PARTITION BY RANGE ("born");--> statement-breakpoint
CREATE INDEX "trades_time" ON "trades" USING btree (("deployment_id" || '/' || "side"),"at");--> statement-breakpoint
ALTER TABLE "trades" ATTACH PARTITION "trades_first" FOR VALUES FROM (MINVALUE) TO ('1970-02-01');--> statement-breakpoint
ALTER TABLE "trades_first" DROP CONSTRAINT "trades_first_month";--> statement-breakpoint
CREATE TABLE "trades_default" PARTITION OF "trades" DEFAULT;--> statement-breakpoint
CREATE TRIGGER "trades_first_month" BEFORE INSERT ON "trades_first" FOR EACH ROW WHEN (NEW."born" = '1970-01-01') EXECUTE FUNCTION serin_find_month('trades');--> statement-breakpoint
CREATE TRIGGER "trades_default_month" BEFORE INSERT ON "trades_default" FOR EACH ROW WHEN (NEW."born" = '1970-01-01') EXECUTE FUNCTION serin_find_month('trades');--> statement-breakpoint
-- What others were granted on the tables, and publications that name them, hold for the new ones.
DO $$
DECLARE one record;
BEGIN
	FOR one IN
		SELECT replace(c.relname, '_first', '') AS name, a.privilege_type, a.is_grantable,
			CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
		FROM pg_class c, aclexplode(c.relacl) a
		WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname IN ('events_first', 'samples_first', 'trades_first')
			AND a.grantee <> c.relowner
	LOOP
		EXECUTE format('GRANT %s ON %I TO %s%s', one.privilege_type, one.name, one.grantee,
			CASE WHEN one.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
	END LOOP;
	FOR one IN
		SELECT p.pubname, replace(c.relname, '_first', '') AS name,
			to_jsonb(r) ->> 'prqual' IS NULL AND to_jsonb(r) ->> 'prattrs' IS NULL AS whole
		FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid JOIN pg_class c ON c.oid = r.prrelid
		WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname IN ('events_first', 'samples_first', 'trades_first')
	LOOP
		BEGIN
			IF NOT one.whole THEN RAISE insufficient_privilege; END IF;
			EXECUTE format('ALTER PUBLICATION %I ADD TABLE %I', one.pubname, one.name);
			EXECUTE format('ALTER PUBLICATION %I SET (publish_via_partition_root = true)', one.pubname);
		EXCEPTION WHEN insufficient_privilege THEN
			RAISE WARNING 'publication % has a part of table % or another owner: add the partitioned table to it', one.pubname, one.name;
		END;
	END LOOP;
END $$;
