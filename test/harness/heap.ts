/** What a process still holds after garbage collection, bytes. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

export function heldBytes(): number {
  if (typeof collect !== 'function') throw new Error('this Node cannot collect garbage on demand');
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}
