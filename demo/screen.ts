/** The demo's screen: the timeline scrolls, the live deployment stays below it. Without a terminal it prints lines. */
import { createLogUpdate } from 'log-update';
import type { DeploymentStatus, TimelineEvent } from './api.ts';
import { drawPanel, emptyCurves, extend, inOneLine } from './panel.ts';
import { inColour, type Paint, plain, type Style, wrap } from './style.ts';

/** How often the status is printed where it cannot be redrawn. */
const PLAIN_STATUS_MS = 4000;

/** Where the screen is drawn. */
export interface Output {
  /** Columns now; a terminal may be resized at any time. */
  columns(): number;
  readonly paint: Paint;
  /** Prints lines that stay. */
  print(lines: readonly string[]): void;
  /** Draws the panel below them, in place of the one before; null where nothing can be redrawn. */
  readonly redraw: ((lines: readonly string[]) => void) | null;
  /** Leaves the last panel standing. */
  settle(): void;
}

export interface Screen {
  /** Text that stays. */
  say(text?: string): void;
  heading(text: string): void;
  event(event: TimelineEvent): void;
  /** The status, redrawn in place. */
  show(deployment: DeploymentStatus, marketDay: string): void;
  /** Leaves the last status standing. */
  settle(): void;
}

export function createScreen(output: Output): Screen {
  const { paint } = output;
  let curves = emptyCurves();
  let printedAt = 0;
  let decidedWithinNoise = false;
  const say = (text = '') =>
    output.print(text.split('\n').flatMap((line) => wrap(line, output.columns(), leading(line))));

  return {
    say,
    heading(text) {
      curves = emptyCurves();
      say(`\n${paint('bold', text)}`);
    },
    event(event) {
      const columns = output.columns();
      output.print(describe(event, columns, paint));
      const { record } = event.payload;
      if (record) decidedWithinNoise = record.comparison.evidence.verdict === 'OPEN';
      if (event.type === 'CANARY_PROMOTED' && decidedWithinNoise) {
        output.print(wrap(`${MARGIN}${PROMOTED_WITHIN_NOISE}`, columns, EVENT_INDENT));
      }
    },
    show(deployment, marketDay) {
      extend(curves, deployment);
      if (output.redraw) {
        output.redraw(drawPanel(deployment, marketDay, curves, { columns: output.columns(), paint }));
      } else if (Date.now() - printedAt > PLAIN_STATUS_MS) {
        printedAt = Date.now();
        say(`  ${marketDay}  ${inOneLine(deployment)}`);
      }
    },
    settle: () => output.settle(),
  };
}

const leading = (line: string) => line.length - line.trimStart().length;

const EVENT_STYLES: Readonly<Record<string, Style>> = {
  DECISION_MADE: ['bold', 'yellow'],
  CANARY_PROMOTED: ['bold', 'green'],
  CANARY_ROLLED_BACK: ['bold', 'red'],
  GUARDRAIL_TRIPPED: 'red',
  ALLOCATION_REQUESTED: 'cyan',
  ALLOCATION_ACKNOWLEDGED: 'dim',
};

/** Columns before the text of an event: margin, time, gap. */
const EVENT_INDENT = 12;
const MARGIN = ' '.repeat(EVENT_INDENT);

/** Why an open test does not stop a promotion. */
const PROMOTED_WITHIN_NOISE =
  'Promoted although the difference is within noise: a canary need not be better, it must not be shown to be worse. ' +
  'With evidence: { mode: REQUIRED } Serin would ask for proof and leave this one to a person.';

function describe({ type, at, description, payload }: TimelineEvent, columns: number, paint: Paint) {
  const time = paint('dim', at.slice(11, 19));
  const style = EVENT_STYLES[type] ?? 'reset';
  const { reasons = [] } = payload;
  // The reasons follow, one a line.
  const [head = description] = reasons.length > 0 ? description.split(':') : [];
  return [
    ...wrap(`  ${time}  ${paint(style, head)}`, columns, EVENT_INDENT),
    ...reasons.flatMap((reason) => wrap(`${MARGIN}· ${reason}`, columns, EVENT_INDENT + 2)),
  ];
}

/** The terminal of this process, or its plain output when that goes into a file or a pipe. */
export function standardOutput(stream: NodeJS.WriteStream = process.stdout): Output {
  if (!stream.isTTY) {
    return {
      columns: () => Number.POSITIVE_INFINITY,
      paint: plain,
      print: (lines) => void stream.write(`${lines.join('\n')}\n`),
      redraw: null,
      settle() {},
    };
  }
  const update = createLogUpdate(stream);
  let panel: readonly string[] = [];
  return {
    columns: () => stream.columns,
    paint: inColour,
    print(lines) {
      // The lines take the place of the panel and stay; the panel is drawn again below them.
      update(lines.join('\n'));
      update.done();
      if (panel.length > 0) update(panel.join('\n'));
    },
    redraw(lines) {
      panel = lines;
      update(panel.join('\n'));
    },
    settle() {
      panel = [];
      update.done();
    },
  };
}
