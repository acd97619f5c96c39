/**
 * Subscriptions with the same document, variables and rights share one execution and one serialisation of each event.
 * Only for log feeds that start now; a feed with `after` replays its own past and has its own execution.
 */
import { type DocumentNode, type ExecutionResult, GraphQLError, getOperationAST, Kind } from 'graphql';
import type { Feed } from '../../feed/feed.ts';
import { FeedLagged } from '../../feed/feed.ts';
import type { DeliveryPosition } from '../../graphql/builder.ts';
import { type Horizon, wasCommitted } from '../../store/log/eventLog.ts';
import type { LogPosition } from '../../store/log/position.ts';

const SHARED_FIELDS: ReadonlySet<string> = new Set(['stateChanged', 'decisionMade', 'eventAppended']);
/** Most unsent bytes per member; beyond that the member is too slow. */
const MAX_BACKLOG = 4_000_000;

/** Whether an operation only follows the log from now on. */
export function isShareable(
  document: DocumentNode,
  operationName: string | null | undefined,
  variables: Readonly<Record<string, unknown>> | null | undefined,
): boolean {
  const operation = getOperationAST(document, operationName);
  const [field, ...more] = operation?.selectionSet.selections ?? [];
  if (operation?.operation !== 'subscription' || more.length > 0 || field?.kind !== Kind.FIELD) return false;
  if (!SHARED_FIELDS.has(field.name.value) || (field.directives?.length ?? 0) > 0) return false;
  const after = field.arguments?.find(({ name }) => name.value === 'after')?.value;
  if (after?.kind === Kind.VARIABLE) {
    const { value } = after.name;
    const standard = operation.variableDefinitions?.find(({ variable }) => variable.name.value === value);
    return (variables?.[value] ?? null) === null && standard?.defaultValue === undefined;
  }
  return after === undefined || after.kind === Kind.NULL;
}

/** The shared execution: its results, and the log position of the latest one. */
export interface Opened {
  readonly results: AsyncIterable<ExecutionResult>;
  readonly position: DeliveryPosition;
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

interface FanoutGroup {
  /** The execution, or the result that refuses it. */
  readonly opening: Promise<Execution | ExecutionResult>;
  readonly members: Set<Member>;
  /** Members that have not left, including those that still wait for the execution to begin. */
  followers: number;
  /** Set when no more results will come. */
  over: { readonly fault: unknown } | null;
}

interface Execution {
  readonly results: AsyncIterator<ExecutionResult>;
  readonly position: DeliveryPosition;
}

export interface SharedSubscriptions {
  /**
   * Joins the group of the key, or starts it. Results go to the subscriber; the returned stream yields only a last error.
   * @param open executes the subscription; if it is refused, its result is not a stream and is returned unchanged
   */
  join(
    key: string,
    open: () => Promise<Opened | ExecutionResult>,
    subscriber: Subscriber,
  ): Promise<Membership | ExecutionResult>;
}

export function createSharedSubscriptions(feed: Pick<Feed, 'now'>): SharedSubscriptions {
  const groups = new Map<string, FanoutGroup>();

  function begin(key: string, open: () => Promise<Opened | ExecutionResult>): FanoutGroup {
    const opening = open().then((opened) =>
      'results' in opened ? { ...opened, results: opened.results[Symbol.asyncIterator]() } : opened,
    );
    const group: FanoutGroup = { opening, members: new Set(), followers: 0, over: null };
    groups.set(key, group);
    opening.then(
      (opened) => ('results' in opened ? broadcast(key, group, opened) : forget(key, group)),
      () => forget(key, group),
    );
    return group;
  }

  /** Removes a group, unless a newer one has replaced it; later members start a new group. */
  function forget(key: string, group: FanoutGroup): void {
    if (groups.get(key) === group) groups.delete(key);
  }

  async function broadcast(key: string, group: FanoutGroup, { results, position }: Execution): Promise<void> {
    let fault: unknown = null;
    try {
      for (let next = await results.next(); !next.done; next = await results.next()) {
        const payload = Buffer.from(JSON.stringify(next.value));
        for (const member of group.members) member.take(payload, position.at);
      }
    } catch (error) {
      fault = error;
    }
    forget(key, group);
    group.over = { fault };
    for (const member of group.members) member.end(fault);
  }

  return {
    async join(key, open, subscriber) {
      const group = groups.get(key) ?? begin(key, open);
      group.followers += 1;
      const opened = await group.opening;
      if (!('results' in opened)) return opened;
      const leave = () => {
        group.members.delete(member);
        group.followers -= 1;
        if (group.followers > 0) return;
        forget(key, group);
        void opened.results.return?.();
      };
      const member = createMember(subscriber, feed.now(), leave);
      group.members.add(member);
      if (group.over) member.end(group.over.fault);
      return member.membership;
    },
  };
}

/** A stream without results: it ends with an error, with one last result, or when its consumer leaves. */
export type Membership = AsyncIterableIterator<ExecutionResult> & {
  /** Delivers a last result and ends. */
  finish(last: ExecutionResult): void;
};

interface Member {
  take(payload: Buffer, at: LogPosition | null): void;
  end(fault: unknown): void;
  readonly membership: Membership;
}

/** A member skips entries committed before it joined; until that horizon is known, results are buffered. */
function createMember(subscriber: Subscriber, now: Promise<Horizon>, leave: () => void): Member {
  let horizon: Horizon | null = null;
  let waiting: { readonly payload: Buffer; readonly at: LogPosition | null }[] = [];
  let over = false;
  let settle: { done: (last: ExecutionResult | null) => void; failed: (fault: unknown) => void };
  const ended = new Promise<ExecutionResult | null>((done, failed) => {
    settle = { done, failed };
  });
  ended.catch(() => {});
  const stop = () => {
    over = true;
    waiting = [];
    leave();
    subscriber.ended();
  };
  const take: Member['take'] = (payload, at) => {
    if (over) return;
    if (!horizon) {
      waiting.push({ payload, at });
    } else if (at === null || !wasCommitted(horizon, at)) {
      if (subscriber.backlog() > MAX_BACKLOG) end(lagged());
      else subscriber.send(payload);
    }
  };
  const end: Member['end'] = (fault) => {
    if (over) return;
    stop();
    if (fault === null) settle.done(null);
    else settle.failed(fault);
  };
  now.then((found) => {
    horizon = found;
    for (const { payload, at } of waiting.splice(0)) take(payload, at);
  }, end);

  let finished = false;
  const membership: Membership = {
    async next() {
      const last = await ended;
      if (last === null || finished) return { done: true, value: undefined };
      finished = true;
      return { done: false, value: last };
    },
    async return() {
      end(null);
      return { done: true, value: undefined };
    },
    finish(last) {
      if (over) return;
      stop();
      settle.done(last);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
  return { take, end, membership };
}

function lagged(): GraphQLError {
  return new GraphQLError(new FeedLagged().message, { extensions: { code: 'RESUME_FROM_CURSOR' } });
}
