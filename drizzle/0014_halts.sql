CREATE TABLE "halts" (
	"actor" text NOT NULL,
	"key" text NOT NULL,
	"request" text NOT NULL,
	"deployment_ids" text[] NOT NULL,
	"freeze_id" text,
	"outcomes" jsonb,
	"created_at" timestamp (3) with time zone DEFAULT serin_now() NOT NULL,
	CONSTRAINT "halts_actor_key_pk" PRIMARY KEY("actor","key")
);
