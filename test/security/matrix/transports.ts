/** One operation over each transport, with all that a caller learns from the answer. */
import { openRawSocket, type RawSocket } from '../../harness/rawSocket.ts';
import type { TestSerin } from '../../harness/serin.ts';
import type { Document } from './documents.ts';

export const TRANSPORTS = ['POST', 'GET', 'SSE', 'WebSocket'] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** Sends documents as one caller. */
export interface Caller {
  readonly name: string;
  /**
   * The status of the answer where there is one, and the whole of its text.
   * @param onPart called with each part of the text as it arrives
   */
  send(transport: Transport, document: Document, onPart?: (part: string) => void): Promise<string>;
  close(): void;
}

/** @param authorization the header, null for a caller without credentials */
export function callerOf(serin: Pick<TestSerin, 'url'>, name: string, authorization: string | null): Caller {
  const credentials = authorization === null ? {} : { authorization };
  const closing = new AbortController();
  let socket: Promise<RawSocket> | null = null;
  let sent = 0;

  async function overHttp(init: RequestInit, path = '', onPart = (_part: string) => {}): Promise<string> {
    const response = await fetch(`${serin.url}/graphql${path}`, { ...init, signal: closing.signal });
    const type = response.headers.get('content-type');
    const challenge = response.headers.get('www-authenticate') ?? '';
    const parts: string[] = [];
    const decoder = new TextDecoder();
    for await (const bytes of response.body ?? []) {
      parts.push(decoder.decode(bytes, { stream: true }));
      onPart(parts.at(-1) ?? '');
    }
    // A comment keeps a stream alive, whenever it comes.
    const text = parts.join('').replaceAll(/^:\n\n/gm, '');
    return [response.status, type, challenge, text].join(' ');
  }
  const post = (document: Document, accept: string, onPart?: (part: string) => void) =>
    overHttp(
      {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept, ...credentials },
        body: JSON.stringify(document),
      },
      '',
      onPart,
    );

  /** One operation at a time has the messages of the socket. */
  let before: Promise<unknown> = Promise.resolve();
  function overSocket(document: Document, onPart?: (part: string) => void): Promise<string> {
    const answer = before.then(() => overFreeSocket(document, onPart));
    before = answer.catch(() => {});
    return answer;
  }

  async function overFreeSocket(document: Document, onPart = (_part: string) => {}): Promise<string> {
    socket ??= open();
    const raw = await socket;
    if (raw.closed()) return JSON.stringify(raw.closed());
    sent += 1;
    const id = String(sent);
    raw.send({ type: 'subscribe', id, payload: document });
    const said: string[] = [];
    for (;;) {
      const message = await raw.next().catch(() => null);
      if (message === null) return JSON.stringify(raw.closed());
      if (message.id !== id) continue;
      said.push(`${message.type} ${JSON.stringify(message.payload)}`);
      onPart(said.at(-1) ?? '');
      if (message.type !== 'next') return said.join('\n');
    }
  }
  async function open(): Promise<RawSocket> {
    const raw = await openRawSocket(serin);
    raw.send({ type: 'connection_init', payload: credentials });
    // Acknowledged or closed.
    await raw.next().catch(() => {});
    return raw;
  }

  return {
    name,
    send(transport, document, onPart) {
      if (transport === 'POST') return post(document, 'application/json');
      if (transport === 'SSE') return post(document, 'text/event-stream', onPart);
      if (transport === 'WebSocket') return overSocket(document, onPart);
      const search = new URLSearchParams({
        query: document.query,
        variables: JSON.stringify(document.variables),
      });
      return overHttp({ headers: { accept: 'application/json', ...credentials } }, `?${search}`);
    },
    close() {
      closing.abort();
      void socket?.then((raw) => raw.close());
    },
  };
}
