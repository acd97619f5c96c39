/**
 * A front end of one page: every live deployment, live, with a button that rolls back, and the decisions as they are made.
 * The types of all operations come from `schema.graphql` (`codegen.json`): a field that does not exist, or that may be
 * null and is not looked at, does not compile.
 *
 *     npx tsx scripts/operationTypes.ts examples/frontend && npx vite examples/frontend
 *
 * Open it with `?serin=http://127.0.0.1:4000`; that Serin is started with `SERIN_ORIGINS=http://localhost:5173`. A server
 * with keys: put a token of your issuer into the page's session storage under `serin.token`.
 */
import { connectSerin } from '../../src/client/index.ts';
import {
  DecisionsDocument,
  type DecisionsSubscription,
  LiveDeploymentsDocument,
  type LiveDeploymentsSubscription,
  type RowFragment,
} from './generated/graphql.ts';

const state = byId('state');
const serin = connectSerin({
  url: new URLSearchParams(location.search).get('serin') ?? 'http://127.0.0.1:4000',
  key: () => sessionStorage.getItem('serin.token') ?? '',
  onNotice: (sentence) => {
    state.textContent = sentence;
  },
});

/** The rows of the table, by deployment. */
const rows = new Map<string, HTMLTableRowElement>();

async function followDeployments(): Promise<void> {
  type Update = LiveDeploymentsSubscription['deploymentsUpdated'];
  const disconnected = () => {
    state.textContent = 'Not connected: the values are old.';
  };
  const updates = serin.watch<Update>(LiveDeploymentsDocument.toString(), {}, undefined, disconnected);
  for await (const { deploymentId, deployment } of updates) {
    if (deployment) show(deployment);
    else if (deploymentId !== null) remove(deploymentId);
    state.textContent = `Live: ${rows.size} deployments`;
  }
}

async function followDecisions(): Promise<void> {
  type Event = DecisionsSubscription['eventAppended'];
  for await (const { at, deploymentId, description, payload } of serin.follow<Event>({
    query: DecisionsDocument.toString(),
  })) {
    const item = document.createElement('li');
    // The payload of each type of event has its own fields.
    const detail =
      payload && 'guardrail' in payload
        ? `${payload.guardrail}: ${payload.measured ?? 'not measured'}, at most ${payload.limit}`
        : description;
    item.textContent = `${new Date(at).toLocaleTimeString()} ${deploymentId}: ${detail}`;
    byId('decisions').prepend(item);
  }
}

function show(deployment: RowFragment): void {
  const { id, strategyId, canaryVersionId, status, headline, canaryMetrics, stableMetrics } = deployment;
  const row = rows.get(id) ?? byId('deployments').appendChild(document.createElement('tr'));
  rows.set(id, row);
  const texts = [
    strategyId,
    canaryVersionId,
    status,
    percent(canaryMetrics),
    percent(stableMetrics),
    headline,
  ];
  row.replaceChildren(...texts.map(cell), actions(deployment));
  row.children[3]?.classList.add('number');
  row.children[4]?.classList.add('number');
}

function remove(id: string): void {
  rows.get(id)?.remove();
  rows.delete(id);
}

/** What may be done to it now: Serin says, no front end copies the lifecycle. */
function actions({ id, availableActions }: RowFragment): HTMLTableCellElement {
  const place = document.createElement('td');
  if (!availableActions.includes('ROLLBACK')) return place;
  const button = document.createElement('button');
  button.textContent = 'Roll back';
  button.onclick = async () => {
    button.disabled = true;
    const { success, message } = await serin.command('rollbackCanary', { deploymentId: id, reason: 'desk' });
    if (!success) state.textContent = message;
  };
  place.append(button);
  return place;
}

function cell(text: string): HTMLTableCellElement {
  const place = document.createElement('td');
  place.textContent = text;
  return place;
}

const percent = (side: RowFragment['canaryMetrics']): string =>
  side ? `${(Number(side.returnOnCapital) * 100).toFixed(2)} %` : '–';

function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no ${id}`);
  return found;
}

await Promise.all([followDeployments(), followDecisions()]);
