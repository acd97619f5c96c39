-- Serin's time is the database's. Every node reads it here; `rate` seconds of it pass in a real one.
INSERT INTO "clock" ("id", "epoch", "anchored_at", "rate") VALUES (1, clock_timestamp(), clock_timestamp(), 1);
--> statement-breakpoint
CREATE FUNCTION serin_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
  SELECT date_trunc('milliseconds', epoch + (clock_timestamp() - anchored_at) * rate::float8) FROM clock
$$;
