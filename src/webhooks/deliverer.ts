/**
 * Delivery of webhooks on every node: creates deliveries from the log, claims due deliveries per webhook, and attempts
 * them. All state is in the database, so a node may die at any moment: its claims expire and another node tries again,
 * which is why a receiver may get a message twice.
 */
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Logger } from 'pino';
import type { Tail } from '../feed/tail.ts';
import { readDeploymentEvents } from '../store/log/deploymentEvents.ts';
import { pruneDeliveries } from '../store/webhooks/deliveries.ts';
import {
  anyEnabled,
  claimDeliveries,
  type DeliveryClaim,
  fanOut,
  findRewind,
  recordAttempt,
  releaseClaims,
  webhooksDue,
} from '../store/webhooks/queue.ts';
import { lockWebhook, saveWebhook, signingSecrets } from '../store/webhooks/webhooks.ts';
import { backoffMs } from './backoff.ts';
import { messageOf, rewindMessageOf } from './message.ts';
import { type Sent, send } from './send.ts';
import type { Targets } from './targets.ts';

/** Concurrent deliveries per webhook and node. A dead receiver delays at most these. */
const CONCURRENCY = 8;
/** Real seconds after which a claim expires; an attempt takes at most ten. */
const LEASE_SECONDS = 30;
/** Poll interval: how long a due retry or a lost notification can go unnoticed. */
const POLL_MS = 1000;
/** Events within this time are processed together. */
const GATHER_MS = 10;
/** The same where no webhook was enabled when last asked. */
const GATHER_UNUSED_MS = 100;
const HOUSEKEEPING_MS = 600_000;
/** How long attempts in flight may take once the node stops; after that they are released to other nodes. */
const DRAIN_MS = 1000;

export interface Deliverer {
  /** Lets attempts in flight finish and stops. */
  stop(): Promise<void>;
}

export interface DelivererParts {
  readonly db: PostgresJsDatabase;
  readonly tail: Pick<Tail, 'subscribe'>;
  readonly targets: Targets;
  readonly log: Logger;
  /** Called with the outcome of each attempt. */
  readonly onAttempt?: (outcome: 'delivered' | 'failed') => void;
}

export function startDeliverer({ db, tail, targets, log, onAttempt = () => {} }: DelivererParts): Deliverer {
  const givenUp = new AbortController();
  setMaxListeners(0, givenUp.signal);
  let stopped = false;
  let wake: () => void = () => {};
  let notified = true;
  /** There may be something to do: the log has grown, or an attempt has ended and the next of its deployment may begin. */
  const notify = () => {
    notified = true;
    wake();
  };
  const unsubscribe = tail.subscribe(notify);
  /** Attempts in flight, by webhook. */
  const inFlight = new Map<string, Set<Promise<void>>>();
  const running = run();

  async function run(): Promise<void> {
    let lastHousekeepingAt = Number.NEGATIVE_INFINITY;
    while (!stopped) {
      notified = false;
      try {
        const used = await anyEnabled(db);
        if (used) {
          let isBehind: boolean;
          do {
            isBehind = await fanOut(db);
            // In between, so that a webhook that has to catch up does not delay the others.
            for (const webhookId of await webhooksDue(db)) await startDue(webhookId);
          } while (isBehind && !stopped);
        }
        if (performance.now() - lastHousekeepingAt > HOUSEKEEPING_MS) {
          while (await pruneDeliveries(db)) if (stopped) return;
          lastHousekeepingAt = performance.now();
        }
        await sleep(POLL_MS);
        if (!stopped)
          await new Promise((resolve) => setTimeout(resolve, used ? GATHER_MS : GATHER_UNUSED_MS));
      } catch (error) {
        log.warn({ error }, 'webhooks cannot reach the database; trying again');
        notified = false;
        await sleep(POLL_MS);
      }
    }
  }

  function sleep(ms: number): Promise<void> {
    if (notified || stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Claims due deliveries of a webhook, up to its concurrency, and starts them. */
  async function startDue(webhookId: string): Promise<void> {
    const attempts = inFlight.get(webhookId) ?? new Set();
    const limit = CONCURRENCY - attempts.size;
    if (limit === 0 || stopped) return;
    const token = randomUUID();
    const claims = await claimDeliveries(db, webhookId, { limit, leaseSeconds: LEASE_SECONDS, token });
    if (stopped) return releaseClaims(db, token);
    for (const claim of claims) {
      const attempt = deliver(claim)
        .catch((error: unknown) =>
          log.error({ error, webhookId, deploymentId: claim.deploymentId }, 'a delivery failed'),
        )
        .finally(() => {
          attempts.delete(attempt);
          if (attempts.size === 0) inFlight.delete(webhookId);
          notify();
        });
      inFlight.set(webhookId, attempts.add(attempt));
    }
  }

  async function deliver(claim: DeliveryClaim): Promise<void> {
    const { webhookId, deploymentId, no } = claim;
    const secrets = await signingSecrets(db, webhookId);
    if (secrets.length === 0) return;
    const message =
      deploymentId === '' ? await rewindMessage(claim, secrets) : await eventMessage(claim, secrets);
    if (!message) throw new Error(`there is no event ${no} of ${deploymentId}`);
    const startedAt = Date.now();
    const sent = await send(await targets.agent(), claim.url, message, givenUp.signal);
    if (givenUp.signal.aborted && sent.httpStatus === null) return releaseClaims(db, claim.token);
    await settle(claim, startedAt, sent);
    onAttempt(sent.error === null ? 'delivered' : 'failed');
  }

  async function eventMessage({ deploymentId, no }: DeliveryClaim, secrets: readonly string[]) {
    const [entry] = await readDeploymentEvents(db, deploymentId, { afterNo: no - 1, limit: 1 });
    return entry ? messageOf(entry, secrets) : null;
  }

  async function rewindMessage({ webhookId, no }: DeliveryClaim, secrets: readonly string[]) {
    const rewind = await findRewind(db, webhookId, no);
    return rewind ? rewindMessageOf(rewind, secrets) : null;
  }

  async function settle(claim: DeliveryClaim, startedAt: number, sent: Sent): Promise<void> {
    const { httpStatus, error, durationMs, retryAfterSeconds } = sent;
    const retryAfterMs = backoffMs(claim.tries, retryAfterSeconds);
    await db.transaction(async (tx) => {
      // The webhook before its delivery, as its deletion locks them.
      const webhook = httpStatus === 410 ? await lockWebhook(tx, claim.webhookId) : null;
      const status = await recordAttempt(tx, claim, {
        startedAt,
        durationMs,
        httpStatus,
        error,
        retryAfterMs,
      });
      // What the receiver of an earlier address says is not for the present one.
      const isMeant = webhook?.url === claim.url && webhook.disabledReason === null;
      if (status !== null && isMeant) {
        const disabledReason = 'The receiver returned 410 Gone. Enable the webhook when the receiver is back';
        await saveWebhook(tx, claim.webhookId, { disabledReason });
      }
    });
  }

  return {
    async stop() {
      stopped = true;
      unsubscribe();
      wake();
      await running;
      const forceCloseTimer = setTimeout(() => givenUp.abort(), DRAIN_MS);
      await Promise.all([...inFlight.values()].flatMap((attempts) => [...attempts]));
      clearTimeout(forceCloseTimer);
      // Only unneeded response bodies are still open.
      await targets.close();
    },
  };
}
