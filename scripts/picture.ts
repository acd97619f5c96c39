/**
 * Draws `docs/pictures/demo.svg`: the demo's screen at the end of its first canary, from a run of the demo.
 * Takes about a minute; `npm run picture`.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from '../demo/api.ts';
import { createScreen, type Output } from '../demo/screen.ts';
import { startServer } from '../demo/server.ts';
import { inColour } from '../demo/style.ts';
import { runTrials, TIME_SCALE } from '../demo/trials.ts';
import { terminalPicture } from './terminalPicture.ts';

const COLUMNS = 100;
const FOLDER = 'docs/pictures';
const TITLE =
  'The demo in a terminal: the timeline of a canary that was promoted, and below it both sides with capital, net PnL, return and trades, their curves on one scale, the gates and the evidence.';

const lines: string[] = [];
let panel: readonly string[] = [];
/** Where the first canary ends; what comes after it is not in the picture. */
let end = 0;
const output: Output = {
  columns: () => COLUMNS,
  paint: inColour,
  print: (printed) => void lines.push(...printed),
  redraw: (drawn) => {
    panel = drawn;
  },
  settle() {
    lines.push(...panel);
    panel = [];
    end ||= lines.length;
  },
};

const server = await startServer(TIME_SCALE);
const api = connect(server.url);
try {
  await runTrials({ api, url: server.url, screen: createScreen(output) });
} finally {
  await api.close();
  await server.stop();
}

const first = lines.findIndex((line) => line !== '');
const shown = lines.slice(first, end);
while (shown.at(-1) === '') shown.pop();
mkdirSync(FOLDER, { recursive: true });
writeFileSync(`${FOLDER}/demo.svg`, terminalPicture(shown, COLUMNS, TITLE));
console.log(`${FOLDER}/demo.svg: ${shown.length} lines of ${COLUMNS} columns`);
