CREATE TABLE "freezes" (
	"id" text PRIMARY KEY NOT NULL,
	"seq" bigserial NOT NULL,
	"strategies" text[] NOT NULL,
	"chains" text[] NOT NULL,
	"blocks" text[] NOT NULL,
	"from_at" timestamp (3) with time zone NOT NULL,
	"until_at" timestamp (3) with time zone,
	"rule" text,
	"time_zone" text,
	"duration_minutes" integer,
	"reason" text NOT NULL,
	"created_by" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT serin_now() NOT NULL,
	"lifted_by" text,
	"lifted_at" timestamp (3) with time zone,
	CONSTRAINT "freezes_span" CHECK ("freezes"."until_at" is null or "freezes"."until_at" > "freezes"."from_at"),
	CONSTRAINT "freezes_recurrence" CHECK (num_nonnulls("freezes"."rule", "freezes"."time_zone", "freezes"."duration_minutes") in (0, 3)),
	CONSTRAINT "freezes_lifted" CHECK (("freezes"."lifted_by" is null) = ("freezes"."lifted_at" is null))
);
--> statement-breakpoint
CREATE INDEX "freezes_seq" ON "freezes" USING btree ("seq");--> statement-breakpoint
CREATE INDEX "freezes_standing" ON "freezes" USING btree ("until_at") WHERE "freezes"."lifted_at" is null;