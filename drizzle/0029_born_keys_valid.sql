-- concurrently
ALTER TABLE "events" VALIDATE CONSTRAINT "events_deployment";--> statement-breakpoint
ALTER TABLE "samples" VALIDATE CONSTRAINT "samples_deployment";--> statement-breakpoint
ALTER TABLE "trade_books" VALIDATE CONSTRAINT "trade_books_deployment";--> statement-breakpoint
ALTER TABLE "trades" VALIDATE CONSTRAINT "trades_book_born";
