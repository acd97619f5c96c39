/** `serin get`: one deployment, once or live. */
import { type CanaryStatus, isEnded } from '../client/index.ts';
import type { Context } from './context.ts';
import { type DeploymentView, readDeployment } from './deployment.ts';
import { panel } from './panel.ts';
import { openScreen } from './screen.ts';
import { moment } from './words.ts';

/** What makes the view out of date: a command, a check, a report. */
const CHANGED = 'subscription ($id: ID!) { deploymentUpdated(deploymentId: $id) { revision } }';
const REPORTED = 'subscription ($id: ID!) { metricsUpdated(deploymentId: $id) { at } }';
/** The view is read again at most so often, and at least so often: figures change at checks, too. */
const LEAST_MS = 500;
const MOST_MS = 5000;
/** A blank line, and the one that says how fresh the view is. */
const FOOTER_ROWS = 2;
/** The time that is left counts down in between. */
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

async function watch(id: string, context: Context): Promise<void> {
  const { terminal, serin } = context;
  let deployment = await readDeployment(id, context);
  const leaving = new AbortController();
  let lost: { readonly why: string; readonly since: Date } | null = null;
  let wake = () => {};
  let changed = false;
  const news = () => {
    changed = true;
    wake();
  };
  const screen = terminal.interactive ? openScreen(terminal, () => leaving.abort()) : null;
  const show = () => {
    if (!screen) return;
    const status = lost ? `reconnecting since ${moment(lost.since.toISOString())}: ${lost.why}` : 'live';
    const line = `${status}, as of ${moment(new Date().toISOString())} · q leaves`;
    const lines = panel(deployment, terminal, terminal.rows() - FOOTER_ROWS);
    screen.show([...lines, ''], terminal.paint(lost ? 'red' : 'dim', line));
  };
  const plain = () => {
    if (terminal.json) terminal.value(deployment, true);
    else if (!screen) terminal.line(oneLine(deployment));
  };
  const follow = async (query: string) => {
    const onDisconnect = (reason: unknown) => {
      lost ??= { why: reason instanceof Error ? reason.message : String(reason), since: new Date() };
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
        await new Promise<void>((done) => {
          wake = done;
          const late = setTimeout(done, MOST_MS);
          leaving.signal.addEventListener('abort', () => {
            clearTimeout(late);
            done();
          });
        });
      }
      if (leaving.signal.aborted) break;
      changed = false;
      const before = deployment.revision;
      deployment = await readDeployment(id, context).catch((error: unknown) => {
        lost ??= { why: error instanceof Error ? error.message : String(error), since: new Date() };
        return deployment;
      });
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

const oneLine = ({ id, status, summary }: DeploymentView) =>
  `${moment(new Date().toISOString())}  ${id}  ${status}  ${summary}`;
