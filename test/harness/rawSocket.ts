/** A WebSocket without a client library: a test sends exactly what it writes. */
import { WebSocket } from 'ws';
import { type Data, type TestSerin, until } from './serin.ts';

export interface RawSocket {
  readonly received: Data[];
  /** The code and reason of the close; null while it is open. */
  closed(): { readonly code: number; readonly reason: string } | null;
  send(message: unknown): void;
  sendText(text: string | Buffer): void;
  /** Waits for the next message that was not returned yet. */
  next(): Promise<Data>;
  /** Waits for the close. Returns its code. */
  closeCode(): Promise<number>;
  close(): void;
}

export async function openRawSocket(
  serin: Pick<TestSerin, 'url'>,
  subprotocols: readonly string[] = ['graphql-transport-ws'],
  headers: Record<string, string> = {},
): Promise<RawSocket> {
  const socket = new WebSocket(`${serin.url.replace('http', 'ws')}/graphql`, [...subprotocols], { headers });
  const received: Data[] = [];
  let taken = 0;
  let closed: { code: number; reason: string } | null = null;
  socket.on('message', (text) => received.push(JSON.parse(text.toString())));
  socket.on('close', (code, reason) => {
    closed = { code, reason: reason.toString() };
  });
  await new Promise<void>((done, failed) => {
    socket.on('open', done);
    socket.on('error', failed);
  });
  socket.on('error', () => {});
  return {
    received,
    closed: () => closed,
    send: (message) => socket.send(JSON.stringify(message)),
    sendText: (text) => socket.send(text),
    async next() {
      await until(() => received.length > taken || closed !== null);
      if (received.length === taken) throw new Error(`closed instead: ${JSON.stringify(closed)}`);
      taken += 1;
      return received[taken - 1];
    },
    async closeCode() {
      await until(() => closed !== null);
      return closed?.code ?? 0;
    },
    close: () => socket.terminate(),
  };
}

/** An open socket whose connection is acknowledged. */
export async function openInitialised(
  serin: Pick<TestSerin, 'url'>,
  payload?: Record<string, unknown>,
): Promise<RawSocket> {
  const socket = await openRawSocket(serin);
  socket.send({ type: 'connection_init', payload });
  const answer = await socket.next();
  if (answer.type !== 'connection_ack') throw new Error(`no acknowledgement: ${JSON.stringify(answer)}`);
  return socket;
}
