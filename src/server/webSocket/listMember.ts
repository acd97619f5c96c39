/**
 * A member of a shared list: it begins with a first picture of its own, read after it has joined, then takes the shared
 * changes. A member that is slow gets the newest state of each deployment, not every one on the way.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ExecutionResult } from 'graphql';
import type { ListPosition } from '../../graphql/builder.ts';
import { createEnding, type Member, type Subscriber } from './sharedSubscriptions.ts';

/** With more unsent bytes than this a member skips to the newest. */
const SKIP_ABOVE = 500_000;
/** Results of a first picture that are sent together; then others have their turn. */
const SENT_TOGETHER = 25;
/** Slow members are checked this often, real ms. */
const TRY_AGAIN_MS = 100;

export interface ListMember extends Member<ListPosition | null> {
  /** Whether its consumer shows the deployment. */
  shows(deploymentId: string): boolean;
}

interface Change {
  readonly payload: Buffer;
  readonly about: ListPosition;
}

/** @param picture the results of the first picture, each with what it is about */
export function createListMember(
  subscriber: Subscriber,
  picture: { readonly results: AsyncIterable<ExecutionResult>; about(): ListPosition | null },
  leave: () => void,
): ListMember {
  /** When each deployment that is shown was read, on Serin's clock. */
  const shown = new Map<string, number>();
  /** Changes that came while the picture was read. */
  let early: Change[] = [];
  let pictureReadAt: number | null = null;
  /** The newest change of each deployment that waits for a slow consumer. */
  const skipped = new Map<string, Buffer>();
  let retry: ReturnType<typeof setTimeout> | undefined;
  const left = new AbortController();
  const { end, membership, isOver } = createEnding(() => {
    left.abort();
    clearTimeout(retry);
    early = [];
    skipped.clear();
    leave();
    subscriber.ended();
  });

  function deliver({ payload, about }: Change): void {
    const { deploymentId, now, begunAt } = about;
    if (deploymentId === null) return;
    if (now === null) {
      if (!shown.delete(deploymentId)) return;
    } else {
      // A change that was read while the picture was, may be older than the picture.
      const inPicture = shown.get(deploymentId) ?? now;
      if (pictureReadAt !== null && begunAt < pictureReadAt && now < inPicture) return;
      shown.set(deploymentId, now);
    }
    skipped.delete(deploymentId);
    if (skipped.size > 0 || subscriber.backlog() > SKIP_ABOVE) {
      skipped.set(deploymentId, payload);
      retry ??= setTimeout(catchUp, TRY_AGAIN_MS);
    } else subscriber.send(payload);
  }

  function catchUp(): void {
    retry = undefined;
    if (isOver()) return;
    for (const [deploymentId, payload] of skipped) {
      if (subscriber.backlog() > SKIP_ABOVE) break;
      skipped.delete(deploymentId);
      subscriber.send(payload);
    }
    if (skipped.size > 0) retry = setTimeout(catchUp, TRY_AGAIN_MS);
  }

  async function readPicture(): Promise<void> {
    const results = picture.results[Symbol.asyncIterator]();
    left.signal.addEventListener('abort', () => void results.return?.(), { once: true });
    let sent = 0;
    for (let next = await results.next(); !next.done; next = await results.next()) {
      if (isOver()) return;
      const about = picture.about();
      if (about?.deploymentId && about.now !== null) shown.set(about.deploymentId, about.now);
      subscriber.send(Buffer.from(JSON.stringify(next.value)));
      sent += 1;
      if (sent % SENT_TOGETHER === 0) await nextTurn();
    }
    pictureReadAt = performance.now();
    for (const change of early.splice(0)) if (!isOver()) deliver(change);
  }
  readPicture().catch(end);

  return {
    take(payload, about) {
      if (isOver() || !about) return;
      if (pictureReadAt === null) early.push({ payload, about });
      else deliver({ payload, about });
    },
    end,
    membership,
    shows: (deploymentId) => shown.has(deploymentId),
  };
}
