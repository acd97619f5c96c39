-- A row is of the month of its deployment: so a key that contains the month is as strict as one without it.
-- It gives way before a session in its way would be ended: `deadlock_timeout` is a second.
SET LOCAL lock_timeout = '500ms';--> statement-breakpoint
ALTER TABLE "events" ADD CONSTRAINT "events_deployment" FOREIGN KEY ("deployment_id","born") REFERENCES "deployments"("id","born") NOT VALID;--> statement-breakpoint
ALTER TABLE "samples" ADD CONSTRAINT "samples_deployment" FOREIGN KEY ("deployment_id","born") REFERENCES "deployments"("id","born") NOT VALID;--> statement-breakpoint
ALTER TABLE "trade_books" ADD CONSTRAINT "trade_books_deployment" FOREIGN KEY ("deployment_id","born") REFERENCES "deployments"("id","born") NOT VALID;--> statement-breakpoint
ALTER TABLE "trades" ADD CONSTRAINT "trades_book_born" FOREIGN KEY ("deployment_id","side","born") REFERENCES "trade_books"("deployment_id","side","born") ON DELETE cascade NOT VALID;
