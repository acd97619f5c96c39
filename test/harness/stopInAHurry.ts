/** Starts the embedded PostgreSQL in a folder; on SIGTERM stops it, and exits before that is done. */
import { startEmbeddedPostgres } from '../../src/store/embedded/embeddedPostgres.ts';

const server = await startEmbeddedPostgres({ dataDir: process.argv[2] ?? '' });
process.once('SIGTERM', () => {
  void server.stop();
  setTimeout(() => process.exit(1), 200);
});
process.stdout.write(`runs as ${server.pid()}\n`);
