/** The client of Serin: typed operations that are safe to repeat, the sides of a deployment, and its feeds. */
import { addressesOf } from './endpoint.ts';
import { messageOf, SerinUnavailable } from './errors.ts';
import { type Delivery, followFeed, followState } from './followFeed.ts';
import { createHttp, type Http, type HttpOptions, type Variables } from './http.ts';
import {
  type CommandInputs,
  type CommandName,
  type CommandResult,
  commandDocument,
  DEPLOYMENT,
  type DeploymentState,
  type Side,
} from './operations.ts';
import { randomName } from './randomName.ts';
import { DeploymentSide, type SideOptions } from './side.ts';

/** Which feed to follow, and from where. */
export interface FeedOptions {
  /** A subscription to one feed that takes `$after: String` and selects `cursor`. */
  readonly query: string;
  /** Its other variables. */
  readonly variables?: Variables | undefined;
  /** The cursor of the last event that was dealt with, or "0" for the beginning; from now on unless given. */
  readonly after?: string | null | undefined;
  /** Ends the feed. */
  readonly signal?: AbortSignal | undefined;
}

/** A connection to Serin; `connectSerin` makes one. It may be shared by everything in a process. */
export class SerinClient {
  readonly #options: HttpOptions;
  readonly #http: Http;

  /** Nothing is sent before the first operation. */
  constructor(options: HttpOptions) {
    this.#options = { ...options, url: addressesOf(options) };
    this.#http = createHttp(this.#options);
  }

  /**
   * Any query. It is sent again until it is answered, so send no mutation this way that does a thing twice.
   * @throws {SerinError} where Serin refuses it
   * @throws {SerinUnavailable} where no node answered in time
   */
  query<T>(document: string, variables: Variables = {}, signal?: AbortSignal): Promise<T> {
    return this.#http.send<T>(document, variables, signal);
  }

  /**
   * A command to a deployment, by the name of its mutation. It carries an idempotency key, so that whatever is sent again
   * on the way does nothing twice. A refusal is an answer: read `success` and `error`.
   */
  async command<Name extends CommandName>(
    name: Name,
    input: CommandInputs[Name],
    signal?: AbortSignal,
  ): Promise<CommandResult> {
    const keyed = { ...input, idempotencyKey: input.idempotencyKey ?? randomName() };
    const answer = await this.#http.send<Record<string, CommandResult>>(
      commandDocument(name),
      { input: keyed },
      signal,
    );
    const result = answer[name];
    if (!result) throw new SerinUnavailable(`Serin answered ${name} without its result`);
    return result;
  }

  /** A deployment, or null where there is none that the caller may see. */
  async deployment(id: string): Promise<DeploymentState | null> {
    const { deployment } = await this.query<{ deployment: DeploymentState | null }>(DEPLOYMENT, { id });
    return deployment;
  }

  /**
   * One side of a deployment, for the bot that trades it. Waits until the deployment is there.
   * @throws {TypeError} that names the option that is none
   * @throws {SerinError} where the caller is refused
   */
  side(
    deploymentId: string,
    side: Side,
    more: Omit<SideOptions, 'deploymentId' | 'side'> = {},
  ): Promise<DeploymentSide> {
    const context = {
      endpoint: this.#options,
      http: this.#http,
      notice: (sentence: string) => this.#options.onNotice?.(sentence),
      acknowledge: (input: CommandInputs['acknowledgeAllocation'], signal: AbortSignal) =>
        this.#untilAnswered(input, signal),
    };
    return DeploymentSide.open(context, { deploymentId, side, ...more });
  }

  /** Follows a feed indefinitely: see `followFeed`. */
  follow<T extends Delivery>(options: FeedOptions): AsyncGenerator<T, void, void> {
    const { onNotice } = this.#options;
    return followFeed<T>({
      ...this.#options,
      ...options,
      onDisconnect: (reason, waitMs) =>
        onNotice?.(`the feed broke (${messageOf(reason)}); resumed in ${Math.round(waitMs)} ms`),
    });
  }

  /** Follows a feed without cursors, such as `deploymentUpdated`: the state as it is now, then after every change. */
  watch<T>(
    query: string,
    variables: Variables,
    signal?: AbortSignal,
    onDisconnect?: (reason: unknown, waitMs: number) => void,
  ): AsyncGenerator<T, void, void> {
    return followState<T>({ ...this.#options, query, variables, signal, onDisconnect });
  }

  /** What a side holds is said however long Serin is away: money has moved already. */
  async #untilAnswered(
    input: CommandInputs['acknowledgeAllocation'],
    signal: AbortSignal,
  ): Promise<CommandResult> {
    const keyed = { ...input, idempotencyKey: randomName() };
    for (;;) {
      try {
        return await this.command('acknowledgeAllocation', keyed, signal);
      } catch (error) {
        if (!(error instanceof SerinUnavailable) || signal.aborted) throw error;
        this.#options.onNotice?.(`${error.message}; it is asked again`);
      }
    }
  }
}

/** A client of the Serin at an address. Nothing is sent before the first operation. */
export function connectSerin(options: HttpOptions): SerinClient {
  return new SerinClient(options);
}
