/** A member of a shared log feed: it begins now, so it skips what was committed before it joined. */
import { GraphQLError } from 'graphql';
import { FeedLagged } from '../../feed/feed.ts';
import { type Horizon, wasCommitted } from '../../store/log/horizon.ts';
import type { LogPosition } from '../../store/log/position.ts';
import { type Leave, Member, type Subscriber } from './sharedSubscriptions.ts';

/** Most unsent bytes per member; beyond that the member is too slow, and resumes from its cursor. */
const MAX_BACKLOG = 4_000_000;

type About = LogPosition | null;

export class LogMember extends Member<About> {
  #horizon: Horizon | null = null;
  /** Results that came before the horizon was known. */
  #early: { readonly payload: Buffer; readonly at: About }[] | null = null;

  /** @param now what is committed now; until it is known, results are buffered */
  constructor(subscriber: Subscriber, leave: Leave<About>, now: Promise<Horizon>) {
    super(subscriber, leave);
    now.then(
      (horizon) => this.#begin(horizon),
      (error: unknown) => this.end(error),
    );
  }

  #begin(horizon: Horizon): void {
    this.#horizon = horizon;
    const early = this.#early ?? [];
    this.#early = null;
    for (const { payload, at } of early) this.take(payload, at);
  }

  override take(payload: Buffer, at: About): void {
    if (this.over) return;
    if (!this.#horizon) {
      this.#early ??= [];
      this.#early.push({ payload, at });
    } else if (at === null || !wasCommitted(this.#horizon, at)) {
      if (this.subscriber.backlog() > MAX_BACKLOG) this.end(lagged());
      else this.subscriber.send(payload);
    }
  }

  protected override letGo(): void {
    this.#early = null;
  }
}

function lagged(): GraphQLError {
  return new GraphQLError(new FeedLagged().message, { extensions: { code: 'RESUME_FROM_CURSOR' } });
}
