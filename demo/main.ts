/**
 * The demo: two canaries on twenty years of real prices, one promoted and one rolled back, live. Serin runs as its own
 * process; two bots and a feed are its ordinary clients. `npm run demo -- --keep` leaves the server up;
 * `npm run demo -- --ignored` shows who hears of a bot that does not give its capital back.
 */
import { connect } from './api.ts';
import { runIgnored } from './ignored.ts';
import { createScreen, type Screen, standardOutput } from './screen.ts';
import { startServer } from './server.ts';
import { CHECK_SECONDS, runTrials, STRATEGY, TIME_SCALE } from './trials.ts';

async function main(): Promise<void> {
  const keep = process.argv.includes('--keep');
  const screen = createScreen(standardOutput());
  screen.say('Starting Serin with its own PostgreSQL …');
  const server = await startServer(TIME_SCALE);
  const api = connect(server.url);
  const stop = async () => {
    await api.close();
    await server.stop();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void stop().then(() => process.exit(0)));
  }
  screen.say(`Watch it in a browser: ${server.url}`);
  screen.say(
    `The API is at ${server.url}/graphql. Serin's clock runs ${TIME_SCALE} times faster than real time. ` +
      `Every ${CHECK_SECONDS} seconds of that clock it checks both versions, and one trading day of the S&P 500 passes.`,
  );

  if (process.argv.includes('--ignored')) {
    await runIgnored({ api, url: server.url, say: screen.say });
    await stop();
    return;
  }
  await runTrials({ api, url: server.url, screen });

  screen.say(
    '\nSerin made both decisions from the evidence. Each decision keeps the numbers it was made from.',
  );
  if (keep) {
    showWhereToGoOn(screen, server.url);
    return;
  }
  screen.say('To look at the results, run it again with the server left running: npm run demo -- --keep');
  await stop();
}

function showWhereToGoOn(screen: Screen, url: string): void {
  screen.say(`The console at ${url} shows both canaries. Or ask the API, at ${url}/graphql:`);
  screen.say(`
    { deployments(first: 10) { nodes { id status canaryVersionId stableVersionId
        decisionHistory { decision reasons at } } }
      strategy(id: "${STRATEGY}") { stableVersionId } }
`);
  screen.say('Serin runs until you press Ctrl-C.');
}

await main();
