CREATE TABLE "heartbeats" (
	"deployment_id" text NOT NULL,
	"side" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "heartbeats_deployment_id_side_pk" PRIMARY KEY("deployment_id","side"),
	CONSTRAINT "heartbeats_side" CHECK ("heartbeats"."side" in ('CANARY', 'STABLE'))
);
