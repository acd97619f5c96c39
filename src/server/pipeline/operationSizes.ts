/**
 * What operations were asked with is in memory as long as they run: the characters of those in flight are bounded, per caller
 * and per node. Otherwise a caller could hold the memory of hundreds of large messages that wait for their turn.
 */

/** Smaller ones are not counted: the number of operations in flight bounds them. */
const MIN_CHARACTERS = 16_384;
/** Largest messages that one caller, and all callers together, may have in flight. */
const OF_CALLER = 8;
const OF_NODE = 32;

/** Counts an operation. Returns what ends it; null if its caller, or the node, has too much in flight. */
export type CountSize = (caller: string, characters: number) => (() => void) | null;

const NOTHING_TO_END = () => {};

/** @param largest characters of the largest message */
export function createOperationSizes(largest: number): CountSize {
  const ofCallers = new Map<string, number>();
  let ofNode = 0;
  return (caller, characters) => {
    if (characters < MIN_CHARACTERS) return NOTHING_TO_END;
    const held = (ofCallers.get(caller) ?? 0) + characters;
    if (held > OF_CALLER * largest || ofNode + characters > OF_NODE * largest) return null;
    ofCallers.set(caller, held);
    ofNode += characters;
    return () => {
      const left = (ofCallers.get(caller) ?? characters) - characters;
      if (left > 0) ofCallers.set(caller, left);
      else ofCallers.delete(caller);
      ofNode -= characters;
    };
  };
}
