/**
 * Subscriptions with the same document, variables and rights share one execution and one serialisation of each result.
 * A group has one execution and any number of members; what a member does with a result is its own: log feeds skip what
 * was committed before they began (`logMember.ts`), lists begin with a picture of their own (`listMember.ts`).
 */
import type { ExecutionResult } from 'graphql';

/** The shared execution: its results, and what the latest of them is about. */
export interface Opened<About> {
  readonly results: AsyncIterable<ExecutionResult>;
  about(): About;
}

/** The receiver of a member's results. */
export interface Subscriber {
  /** Sends a result that is already serialised as JSON. */
  send(payload: Buffer): void;
  /** Unsent bytes. */
  backlog(): number;
  /** Called once when no more results will come. */
  ended(): void;
}

/** Takes a member that has ended out of its group. */
export type Leave<About> = (member: Member<About>) => void;

type Next = IteratorResult<ExecutionResult>;
const DONE: Next = { done: true, value: undefined };

/**
 * A member of a group. For its consumer it is a stream without results, which ends with an error or when the consumer
 * leaves: results go to the subscriber as bytes. Members wait for long and are many, so one is one object.
 */
export abstract class Member<About> implements AsyncIterableIterator<ExecutionResult> {
  readonly #leave: Leave<About>;
  protected readonly subscriber: Subscriber;
  protected over = false;
  /** Resolves the consumer's call of `next`, which waits for the end. */
  #answer: ((next: Next | Promise<Next>) => void) | null = null;
  /** The error that it ended with, until its consumer asks. */
  #failure: Promise<Next> | null = null;

  constructor(subscriber: Subscriber, leave: Leave<About>) {
    this.subscriber = subscriber;
    this.#leave = leave;
  }

  /** Takes a result of the shared execution. */
  abstract take(payload: Buffer, about: About): void;

  /** Lets go of what it holds, when it has ended. */
  protected abstract letGo(): void;

  /** Ends it, once: by a fault, or by its consumer (null). */
  end(fault: unknown): void {
    if (this.over) return;
    this.over = true;
    this.letGo();
    this.#leave(this);
    this.subscriber.ended();
    const failure = fault === null ? null : Promise.reject<Next>(fault);
    if (this.#answer) this.#answer(failure ?? DONE);
    else {
      failure?.catch(() => {});
      this.#failure = failure;
    }
  }

  /** Its consumer waits for one at a time. */
  next(): Promise<Next> {
    if (!this.over) {
      return new Promise((answer) => {
        this.#answer = answer;
      });
    }
    const failure = this.#failure;
    this.#failure = null;
    return failure ?? Promise.resolve(DONE);
  }

  return(): Promise<Next> {
    this.end(null);
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

interface FanoutGroup<M, About> {
  /** The execution, or the result that refuses it. */
  readonly opening: Promise<Execution<About> | ExecutionResult>;
  readonly members: Set<M>;
  readonly leave: Leave<About>;
  /** Members that have not left, including those that still wait for the execution to begin. */
  followers: number;
  /** Set when no more results will come. */
  over: { readonly fault: unknown } | null;
}

interface Execution<About> {
  readonly results: AsyncIterator<ExecutionResult>;
  about(): About;
}

export interface SharedSubscriptions<M extends Member<About>, About> {
  /**
   * Joins the group of the key, or starts it. The returned stream yields only a last error.
   * @param open executes the subscription; if it is refused, its result is not a stream and is returned unchanged
   * @param memberOf makes the member; it calls `leave` once when it has ended
   */
  join(
    key: string,
    open: (members: ReadonlySet<M>) => Promise<Opened<About> | ExecutionResult>,
    memberOf: (leave: Leave<About>) => M,
  ): Promise<M | ExecutionResult>;
}

export function createSharedSubscriptions<M extends Member<About>, About>(): SharedSubscriptions<M, About> {
  type Group = FanoutGroup<M, About>;
  const groups = new Map<string, Group>();

  function begin(
    key: string,
    open: (members: ReadonlySet<M>) => Promise<Opened<About> | ExecutionResult>,
  ): Group {
    const members = new Set<M>();
    let execution: Execution<About> | null = null;
    const opening = open(members).then((opened) => {
      if (!('results' in opened)) return opened;
      execution = { about: opened.about, results: opened.results[Symbol.asyncIterator]() };
      return execution;
    });
    const all: Set<Member<About>> = members;
    const leave: Leave<About> = (member) => {
      all.delete(member);
      group.followers -= 1;
      if (group.followers > 0) return;
      forget(key, group);
      void execution?.results.return?.();
    };
    const group: Group = { opening, members, leave, followers: 0, over: null };
    groups.set(key, group);
    opening.then(
      (opened) => ('results' in opened ? broadcast(key, group, opened) : forget(key, group)),
      () => forget(key, group),
    );
    return group;
  }

  /** Removes a group, unless a newer one has replaced it; later members start a new group. */
  function forget(key: string, group: Group): void {
    if (groups.get(key) === group) groups.delete(key);
  }

  async function broadcast(key: string, group: Group, { results, about }: Execution<About>): Promise<void> {
    let fault: unknown = null;
    try {
      for (let next = await results.next(); !next.done; next = await results.next()) {
        const payload = Buffer.from(JSON.stringify(next.value));
        for (const member of group.members) member.take(payload, about());
      }
    } catch (error) {
      fault = error;
    }
    forget(key, group);
    group.over = { fault };
    for (const member of group.members) member.end(fault);
  }

  return {
    async join(key, open, memberOf) {
      const group = groups.get(key) ?? begin(key, open);
      group.followers += 1;
      const opened = await group.opening;
      if (!('results' in opened)) return opened;
      const member = memberOf(group.leave);
      group.members.add(member);
      if (group.over) member.end(group.over.fault);
      return member;
    },
  };
}
