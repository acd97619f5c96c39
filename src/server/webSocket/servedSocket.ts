/**
 * A socket between `ws` and `graphql-ws`. Sockets are many and wait for long, so that one is one object with all that is
 * kept of it, its listeners are methods that all share, and one timer looks after all of them.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { CloseCode, type WebSocket as GraphqlSocket } from 'graphql-ws';
import type { Logger } from 'pino';
import { type RawData, WebSocket } from 'ws';
import type { Actor } from '../../access/actor.ts';
import { holdForNow } from './coalescedWrites.ts';

/** Unsent bytes of a client above which nothing more is read from it. */
const PAUSE_ABOVE = 1_000_000;
/** Unsent bytes of a client above which it is closed. */
const CLOSE_ABOVE = 8_000_000;
/** How often all sockets are checked. */
export const TURN_MS = 250;
/** A client is pinged once in this many turns, and must have answered at the next ping. */
const TURNS_PER_PING = 48;
/** How long a client may take to complete the closing handshake. */
export const CLOSE_TIMEOUT_MS = 1500;
/** "Try again later": a `graphql-ws` client reconnects automatically. */
export const TRY_AGAIN = 1013;
/** Sends bytes as a text frame. */
const TEXT_FRAME = { binary: false };

/** What a socket needs of its server. */
export interface SocketOwner {
  readonly log: Logger;
  /** How long it waits for `connection_init`. */
  readonly initMs: number;
  /** Hands its messages to graphql-ws, by `onMessage`; what is answered is called at its end. */
  serve(socket: ServedSocket): (code: number, reason: string) => Promise<void>;
  closed(socket: ServedSocket): void;
}

/** An operation until it is answered or streams. */
export interface Opening {
  /** Those of the message that began it. */
  readonly characters: number;
  /** Whether its client still waits for it: not once the socket closes, or the client has begun another with its id. */
  isWanted(): boolean;
  ended(): void;
}

export class ServedSocket extends WebSocket implements GraphqlSocket {
  /** The address that limits count. */
  address = '';
  /** Its caller, once that is authenticated. */
  actor: Actor | null = null;
  #owner: SocketOwner | null = null;
  #line: Socket | null = null;
  #headers: IncomingHttpHeaders | null = null;
  #initTimer: ReturnType<typeof setTimeout> | null = null;
  #receive: ((message: string) => Promise<void>) | null = null;
  /** Characters of its latest message. */
  #characters = 0;
  #end: ((code: number, reason: string) => Promise<void>) | null = null;
  #unwatch: (() => void) | null = null;
  /** Its operations until they are answered or stream, by the ids that its client chose; null without any. */
  #opening: Map<string, Opening> | null = null;
  #turnsToPing = TURNS_PER_PING;
  #awaitsPong = false;

  /** Begins to serve it. The headers of its upgrade are kept until `connection_init`. */
  open(owner: SocketOwner, line: Socket, address: string, headers: IncomingHttpHeaders): void {
    this.#owner = owner;
    this.#line = line;
    this.address = address;
    this.#headers = headers;
    this.on('message', this.#onMessage);
    this.on('pong', this.#onPong);
    this.on('error', this.#onError);
    this.on('close', this.#onClose);
    this.#initTimer = setTimeout(refuseLate, owner.initMs, this);
    this.#end = owner.serve(this);
  }

  onMessage(receive: (message: string) => Promise<void>): void {
    this.#receive = receive;
  }

  /** Its client has sent `connection_init`. Returns the headers of its upgrade. */
  initialised(): IncomingHttpHeaders {
    if (this.#initTimer) clearTimeout(this.#initTimer);
    this.#initTimer = null;
    const headers = this.#headers ?? {};
    this.#headers = null;
    return headers;
  }

  /** @param unwatch called when it is closed */
  authenticated(actor: Actor, unwatch: () => void): void {
    this.actor = actor;
    if (this.readyState === this.CLOSED) unwatch();
    else this.#unwatch = unwatch;
  }

  /**
   * An operation begins. graphql-ws knows operations by their ids alone: one that its client has completed while it was
   * opening would be taken for the next one with that id.
   */
  begin(id: string): Opening {
    const own: Opening = {
      characters: this.#characters,
      isWanted: () => this.readyState === this.OPEN && this.#opening?.get(id) === own,
      ended: () => {
        if (this.#opening?.get(id) !== own) return;
        this.#opening.delete(id);
        if (this.#opening.size === 0) this.#opening = null;
      },
    };
    this.#opening ??= new Map();
    this.#opening.set(id, own);
    return own;
  }

  /** Begins to close it. Its client has little time to answer: until then it holds what it has open. */
  override close(code?: number, reason?: string | Buffer): void {
    if (this.readyState === this.OPEN) setTimeout(() => this.terminate(), CLOSE_TIMEOUT_MS).unref();
    super.close(code, reason);
  }

  /**
   * Sends a message; resolves when it is on its way. Sending to a client that has disconnected does nothing: graphql-ws would
   * treat it as an internal error.
   */
  override send(message: string): Promise<void> {
    if (this.readyState !== this.OPEN || !this.#line) return Promise.resolve();
    holdForNow(this.#line);
    return new Promise((done) => {
      super.send(message, () => done());
    });
  }

  /** Sends a text as bytes, without waiting. */
  sendText(message: Buffer): void {
    if (this.readyState !== this.OPEN || !this.#line) return;
    holdForNow(this.#line);
    super.send(message, TEXT_FRAME);
  }

  /**
   * One turn of the timer. Nothing more is read from a client with much unsent data; one with too much is closed and may
   * reconnect, and one that does not answer a ping is gone.
   */
  lookAfter(): void {
    if (this.isPaused && this.bufferedAmount <= PAUSE_ABOVE) this.resume();
    if (this.readyState !== this.OPEN) return;
    if (this.bufferedAmount > CLOSE_ABOVE) {
      this.close(TRY_AGAIN, 'Too slow: reconnect and resume from the last cursor');
      return;
    }
    this.#turnsToPing -= 1;
    if (this.#turnsToPing > 0) return;
    this.#turnsToPing = TURNS_PER_PING;
    if (this.#awaitsPong) {
      this.terminate();
    } else {
      this.#awaitsPong = true;
      this.ping();
    }
  }

  #onMessage(data: RawData): void {
    // What is closing takes nothing more: its caller may have lost its rights.
    if (this.readyState !== this.OPEN) return;
    if (this.bufferedAmount > PAUSE_ABOVE) this.pause();
    const message = String(data);
    this.#characters = message.length;
    this.#receive?.(message).catch((error: unknown) => {
      this.#owner?.log.error({ error }, 'a message of a WebSocket could not be answered');
      this.close(CloseCode.InternalServerError, 'Internal server error');
    });
  }

  #onPong(): void {
    this.#awaitsPong = false;
  }

  /** A client that violates the framing is closed with the code for it. */
  #onError(error: Error): void {
    this.#owner?.log.debug({ error }, 'a WebSocket failed');
  }

  #onClose(code: number, reason: Buffer): void {
    this.initialised();
    this.#unwatch?.();
    this.#owner?.closed(this);
    this.#end?.(code, String(reason)).catch((error: unknown) => {
      this.#owner?.log.warn({ error }, 'what a WebSocket held open could not be ended');
    });
  }
}

function refuseLate(socket: ServedSocket): void {
  socket.close(CloseCode.ConnectionInitialisationTimeout, 'Connection initialisation timeout');
}
