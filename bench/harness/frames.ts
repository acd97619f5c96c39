/** Counts what a WebSocket server sends without reading it. Frames from a server are not masked (RFC 6455, 5.2). */
import type { Socket } from 'node:net';

const NOTHING = Buffer.alloc(0);
const PING = 0x89;
/** A pong without a payload, masked with zeros, as a client masks. */
const PONG = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);

/** Takes a socket over, between two frames, from whoever read it. Calls back for every message; pings are answered. */
export function countFrames(line: Socket, onMessage: () => void): void {
  /** A header of which not all has come. */
  let begun: Buffer = NOTHING;
  /** Bytes of the current frame that are still to come. */
  let skip = 0;
  line.removeAllListeners('data').on('data', (chunk: Buffer) => {
    const bytes = begun.length > 0 ? Buffer.concat([begun, chunk]) : chunk;
    begun = NOTHING;
    let at = skip;
    while (at < bytes.length) {
      const size = frameSize(bytes, at);
      if (size === null) {
        begun = bytes.subarray(at);
        at = bytes.length;
      } else {
        if (bytes[at] === PING) line.write(PONG);
        else onMessage();
        at += size;
      }
    }
    skip = at - bytes.length;
  });
}

/** Bytes of a frame with its header; null where not all of the header is there. */
function frameSize(bytes: Buffer, at: number): number | null {
  const length = bytes[at + 1];
  if (length === undefined) return null;
  if (length < 126) return 2 + length;
  if (length > 126) throw new Error('a message is longer than any that is measured');
  return at + 4 <= bytes.length ? 4 + bytes.readUInt16BE(at + 2) : null;
}
