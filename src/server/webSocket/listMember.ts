/**
 * A member of a shared list: it begins with a first picture of its own, read after it has joined, then takes the shared
 * changes. A member that is slow gets the newest state of each deployment, not every one on the way.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ExecutionResult } from 'graphql';
import type { ListPosition } from '../../graphql/builder.ts';
import { type Leave, Member, type Subscriber } from './sharedSubscriptions.ts';

/** With more unsent bytes than this a member skips to the newest. */
const SKIP_ABOVE = 500_000;
/** Results of a first picture that are sent together; then others have their turn. */
const SENT_TOGETHER = 25;
/** Slow members are checked this often, real ms. */
const TRY_AGAIN_MS = 100;

type About = ListPosition | null;

/** The results of the first picture, each with what it is about. */
interface Picture {
  readonly results: AsyncIterable<ExecutionResult>;
  about(): About;
}

interface Change {
  readonly payload: Buffer;
  readonly about: ListPosition;
}

export class ListMember extends Member<About> {
  /** When each deployment that is shown was read, on Serin's clock. */
  readonly #shown = new Map<string, number>();
  /** Changes that came while the picture was read. */
  #early: Change[] = [];
  #pictureReadAt: number | null = null;
  /** The newest change of each deployment that waits for a slow consumer. */
  readonly #skipped = new Map<string, Buffer>();
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** The picture while it is read. */
  #picture: AsyncIterator<ExecutionResult> | null;

  constructor(subscriber: Subscriber, leave: Leave<About>, picture: Picture) {
    super(subscriber, leave);
    const results = picture.results[Symbol.asyncIterator]();
    this.#picture = results;
    this.#readPicture(results, picture).catch((error: unknown) => this.end(error));
  }

  /** Whether its consumer shows the deployment. */
  shows(deploymentId: string): boolean {
    return this.#shown.has(deploymentId);
  }

  override take(payload: Buffer, about: About): void {
    if (this.over || !about) return;
    if (this.#pictureReadAt === null) this.#early.push({ payload, about });
    else this.#deliver({ payload, about });
  }

  protected override letGo(): void {
    void this.#picture?.return?.();
    clearTimeout(this.#retry);
    this.#early = [];
    this.#skipped.clear();
  }

  #deliver({ payload, about }: Change): void {
    const { deploymentId, now, begunAt } = about;
    if (deploymentId === null) return;
    if (now === null) {
      if (!this.#shown.delete(deploymentId)) return;
    } else {
      // A change that was read while the picture was, may be older than the picture.
      const inPicture = this.#shown.get(deploymentId) ?? now;
      if (this.#pictureReadAt !== null && begunAt < this.#pictureReadAt && now < inPicture) return;
      this.#shown.set(deploymentId, now);
    }
    this.#skipped.delete(deploymentId);
    if (this.#skipped.size > 0 || this.subscriber.backlog() > SKIP_ABOVE) {
      this.#skipped.set(deploymentId, payload);
      this.#retry ??= setTimeout(() => this.#catchUp(), TRY_AGAIN_MS);
    } else this.subscriber.send(payload);
  }

  #catchUp(): void {
    this.#retry = undefined;
    if (this.over) return;
    for (const [deploymentId, payload] of this.#skipped) {
      if (this.subscriber.backlog() > SKIP_ABOVE) break;
      this.#skipped.delete(deploymentId);
      this.subscriber.send(payload);
    }
    if (this.#skipped.size > 0) this.#retry = setTimeout(() => this.#catchUp(), TRY_AGAIN_MS);
  }

  async #readPicture(results: AsyncIterator<ExecutionResult>, picture: Picture): Promise<void> {
    let sent = 0;
    for (let next = await results.next(); !next.done; next = await results.next()) {
      if (this.over) return;
      const about = picture.about();
      if (about?.deploymentId && about.now !== null) this.#shown.set(about.deploymentId, about.now);
      this.subscriber.send(Buffer.from(JSON.stringify(next.value)));
      sent += 1;
      if (sent % SENT_TOGETHER === 0) await nextTurn();
    }
    this.#picture = null;
    this.#pictureReadAt = performance.now();
    for (const change of this.#early.splice(0)) if (!this.over) this.#deliver(change);
  }
}
