-- The month in which a deployment arrived: what its events, samples and trades are partitioned by. A constant default rewrites
-- no row. The first month is that of all deployments so far; of those of an earlier version, which does not write it, too.
-- It gives way before a session in its way would be ended: `deadlock_timeout` is a second.
SET LOCAL lock_timeout = '500ms';--> statement-breakpoint
ALTER TABLE "deployments" ADD COLUMN "born" date DEFAULT '1970-01-01' NOT NULL;--> statement-breakpoint
ALTER TABLE "trade_books" ADD COLUMN "born" date DEFAULT '1970-01-01' NOT NULL;--> statement-breakpoint
ALTER TABLE "events" ADD COLUMN "born" date DEFAULT '1970-01-01' NOT NULL;--> statement-breakpoint
ALTER TABLE "samples" ADD COLUMN "born" date DEFAULT '1970-01-01' NOT NULL;--> statement-breakpoint
ALTER TABLE "trades" ADD COLUMN "born" date DEFAULT '1970-01-01' NOT NULL;--> statement-breakpoint
ALTER TABLE "events" ADD CONSTRAINT "events_first_month" CHECK ("born" < '1970-02-01') NOT VALID;--> statement-breakpoint
ALTER TABLE "samples" ADD CONSTRAINT "samples_first_month" CHECK ("born" < '1970-02-01') NOT VALID;--> statement-breakpoint
ALTER TABLE "trades" ADD CONSTRAINT "trades_first_month" CHECK ("born" < '1970-02-01') NOT VALID;
