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

/** A stream without results: it ends with an error, with one last result, or when its consumer leaves. */
export type Membership = AsyncIterableIterator<ExecutionResult> & {
  /** Delivers a last result and ends. */
  finish(last: ExecutionResult): void;
};

export interface Member<About> {
  take(payload: Buffer, about: About): void;
  end(fault: unknown): void;
  readonly membership: Membership;
}

interface FanoutGroup<About> {
  /** The execution, or the result that refuses it. */
  readonly opening: Promise<Execution<About> | ExecutionResult>;
  readonly members: Set<Member<About>>;
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
    memberOf: (leave: () => void) => M,
  ): Promise<Membership | ExecutionResult>;
}

export function createSharedSubscriptions<M extends Member<About>, About>(): SharedSubscriptions<M, About> {
  const groups = new Map<string, FanoutGroup<About> & { readonly members: Set<M> }>();
  type Group = FanoutGroup<About> & { readonly members: Set<M> };

  function begin(
    key: string,
    open: (members: ReadonlySet<M>) => Promise<Opened<About> | ExecutionResult>,
  ): Group {
    const members = new Set<M>();
    const opening = open(members).then((opened) =>
      'results' in opened ? { about: opened.about, results: opened.results[Symbol.asyncIterator]() } : opened,
    );
    const group: Group = { opening, members, followers: 0, over: null };
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
      const member = memberOf(() => {
        group.members.delete(member);
        group.followers -= 1;
        if (group.followers > 0) return;
        forget(key, group);
        void opened.results.return?.();
      });
      group.members.add(member);
      if (group.over) member.end(group.over.fault);
      return member.membership;
    },
  };
}

/** The end of a member, reported once: by a fault, by a last result, or by its consumer. */
export function createEnding(stop: () => void) {
  let over = false;
  let settle: { done: (last: ExecutionResult | null) => void; failed: (fault: unknown) => void };
  const ended = new Promise<ExecutionResult | null>((done, failed) => {
    settle = { done, failed };
  });
  ended.catch(() => {});
  const finish = (last: ExecutionResult | null) => {
    if (over) return;
    over = true;
    stop();
    settle.done(last);
  };
  const end = (fault: unknown) => {
    if (fault === null) return finish(null);
    if (over) return;
    over = true;
    stop();
    settle.failed(fault);
  };
  let delivered = false;
  const membership: Membership = {
    async next() {
      const last = await ended;
      if (last === null || delivered) return { done: true, value: undefined };
      delivered = true;
      return { done: false, value: last };
    },
    async return() {
      end(null);
      return { done: true, value: undefined };
    },
    finish,
    [Symbol.asyncIterator]() {
      return this;
    },
  };
  return { end, membership, isOver: () => over };
}
