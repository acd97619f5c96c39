/** A TCP proxy between a client and a server, for cutting connections, refusing them, and swallowing what is sent. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** Cuts every connection. */
  cut(): void;
  /** Refuses new connections and cuts those there are. */
  refuse(): void;
  /** Keeps connections open and lets nothing through, in either direction. */
  swallow(): void;
  /** Lets everything through again; connections from a time of swallowing are cut. */
  pass(): void;
  close(): Promise<void>;
}

/** Listens on a port of loopback and leads to another one; `target` is asked anew for each connection. */
export async function startProxy(target: () => number): Promise<TcpProxy> {
  let mode: 'pass' | 'refuse' | 'swallow' = 'pass';
  const links = new Set<Socket>();
  const server = createServer((near) => {
    if (mode === 'refuse') {
      near.resetAndDestroy();
      return;
    }
    const far = connect(target(), '127.0.0.1');
    join(near, far);
    join(far, near);
  });

  function join(from: Socket, to: Socket): void {
    links.add(from);
    from.on('error', () => {});
    from.on('data', (bytes) => {
      if (mode === 'swallow' || to.destroyed) return;
      if (!to.write(bytes)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
    });
    from.once('close', () => {
      links.delete(from);
      to.destroy();
    });
  }

  const cut = () => {
    for (const link of links) link.destroy();
  };
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    cut,
    refuse() {
      mode = 'refuse';
      cut();
    },
    swallow() {
      mode = 'swallow';
    },
    pass() {
      if (mode === 'swallow') cut();
      mode = 'pass';
    },
    async close() {
      cut();
      await new Promise((closed) => server.close(closed));
    },
  };
}
