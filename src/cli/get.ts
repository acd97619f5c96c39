/** `serin get`: one deployment, once or live. */
import { type CanaryStatus, isEnded } from '../client/index.ts';
import type { Context } from './context.ts';
import { type DeploymentView, readDeployment } from './deployment.ts';
import { panel } from './panel.ts';
import { openScreen } from './screen.ts';
import { duration, moment } from './words.ts';

/** What makes the view out of date: a command, a check, a report. */
const CHANGED = 'subscription ($id: ID!) { deploymentUpdated(deploymentId: $id) { revision } }';
const REPORTED = 'subscription ($id: ID!) { metricsUpdated(deploymentId: $id) { at } }';
/** The view is read again at most so often, and at least so often: figures change at checks, too. */
const LEAST_MS = 500;
const MOST_MS = 5000;
/** A blank line, and the one that says how fresh the view is. */
const FOOTER_ROWS = 2;
/** Drawn again in between: the terminal may have another size, and a lost connection is lost for longer. */
const REDRAW_MS = 1000;

export async function get(
  id: string,
  options: { readonly watch?: boolean },
  context: Context,
): Promise<void> {
  if (options.watch) return watch(id, context);
  const deployment = await readDeployment(id, context);
  if (context.terminal.json) context.terminal.value(deployment);
  else for (const line of panel(deployment, context.terminal)) context.terminal.line(line);
}

/** Since when, on this machine's monotonic clock, a feed is broken or the deployment could not be read. */
interface Loss {
  readonly what: 'feed' | 'read';
  readonly why: string;
  readonly sinceMs: number;
}

async function watch(id: string, context: Context): Promise<void> {
  const { terminal, serin } = context;
  let deployment = await readDeployment(id, context);
  const leaving = new AbortController();
  let lost: Loss | null = null;
  const lose = (what: Loss['what'], reason: unknown) => {
    const why = reason instanceof Error ? reason.message : String(reason);
    lost ??= { what, why, sinceMs: performance.now() };
  };
  const wasRead = () => {
    if (lost?.what === 'read') lost = null;
  };
  let wake = () => {};
  let changed = false;
  const news = () => {
    changed = true;
    wake();
  };
  leaving.signal.addEventListener('abort', () => wake());
  const screen = terminal.interactive ? openScreen(terminal, () => leaving.abort()) : null;
  const show = () => {
    if (!screen) return;
    const status = lost
      ? `reconnecting for ${duration((performance.now() - lost.sinceMs) / 1000)}: ${lost.why}`
      : 'live';
    const line = `${status}, as of ${moment(deployment.asOf)} · q leaves`;
    const lines = panel(deployment, terminal, terminal.rows() - FOOTER_ROWS);
    screen.show([...lines, ''], terminal.paint(lost ? 'red' : 'dim', line));
  };
  const plain = () => {
    if (terminal.json) terminal.value(deployment, true);
    else if (!screen) terminal.line(oneLine(deployment));
  };
  const follow = async (query: string) => {
    const onDisconnect = (reason: unknown) => {
      lose('feed', reason);
      news();
    };
    for await (const _ of serin.watch(query, { id }, leaving.signal, onDisconnect)) {
      lost = null;
      news();
    }
  };
  const following = Promise.all([follow(CHANGED), follow(REPORTED)]);
  following.catch(() => leaving.abort());
  plain();
  show();
  const timer = setInterval(show, REDRAW_MS);
  try {
    while (!leaving.signal.aborted && !isEnded(deployment.status as CanaryStatus)) {
      if (!changed) {
        let late: NodeJS.Timeout | undefined;
        await new Promise<void>((done) => {
          wake = done;
          late = setTimeout(done, MOST_MS);
        });
        clearTimeout(late);
      }
      if (leaving.signal.aborted) break;
      changed = false;
      const before = deployment.revision;
      try {
        deployment = await readDeployment(id, context);
        wasRead();
      } catch (error) {
        lose('read', error);
      }
      if (deployment.revision !== before || terminal.json) plain();
      show();
      await new Promise((done) => setTimeout(done, LEAST_MS));
    }
  } finally {
    clearInterval(timer);
    screen?.close();
  }
  leaving.abort();
  await following;
  if (screen) for (const line of panel(deployment, terminal)) terminal.line(line);
}

const oneLine = ({ asOf, id, status, summary }: DeploymentView) =>
  `${moment(asOf)}  ${id}  ${status}  ${summary}`;
