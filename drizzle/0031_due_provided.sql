-- concurrently
CREATE INDEX CONCURRENTLY IF NOT EXISTS "deployments_due_provided" ON "deployments" USING btree ("next_check_at") WHERE "deployments"."next_check_at" is not null and "deployments"."config" ->> 'metricsProvider' is not null;
