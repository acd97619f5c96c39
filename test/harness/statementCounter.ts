/** A proxy before PostgreSQL that counts how often each statement is executed over it. */
import { connect, createServer, type Socket } from 'node:net';

export interface StatementCounter {
  /** The same database over the proxy. */
  readonly url: string;
  /** How often each statement was executed so far, by its text. */
  executed(): ReadonlyMap<string, number>;
  stop(): void;
}

export async function countStatements(databaseUrl: string): Promise<StatementCounter> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  const executed = new Map<string, number>();
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    client.on(
      'data',
      statementReader((text) => executed.set(text, (executed.get(text) ?? 0) + 1)),
    );
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
      });
    }
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  const url = new URL(databaseUrl);
  url.port = String(typeof address === 'object' ? address?.port : 0);
  return {
    url: url.href,
    executed: () => new Map(executed),
    stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** Calls back with the text of each statement that a client binds. */
function statementReader(onStatement: (text: string) => void): (chunk: Buffer) => void {
  const texts = new Map<string, string>();
  let rest: Buffer = Buffer.alloc(0);
  let started = false;
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      // The first messages have a length only.
      const header = started ? 1 : 0;
      if (rest.length < header + 4) return;
      const end = header + rest.readUInt32BE(header);
      if (rest.length < end) return;
      const type = String.fromCharCode(rest[0] ?? 0);
      const [first = '', second = ''] = rest.subarray(5, end).toString('latin1').split('\0', 2);
      if (started && type === 'P') texts.set(first, second);
      if (started && type === 'B') onStatement(texts.get(second) ?? second);
      // A request for TLS, which a startup message follows, is as short as no other.
      started ||= end > 8;
      rest = rest.subarray(end);
    }
  };
}
