/**
 * How far a client has written: where Serin reads lists from a replica, a query that says so is answered from there only
 * once the replica has it.
 */

/** The header of an answer to a mutation, and of the requests after it. */
const POSITION_HEADER = 'serin-position';

export interface WrittenPosition {
  /** The headers to send. */
  headers(): Record<string, string>;
  /** Takes note of an answer. Answers may come in another order than they were made. */
  note(answer: Headers): void;
}

export function createWrittenPosition(): WrittenPosition {
  let latest: { readonly text: string; readonly at: bigint } | null = null;
  return {
    headers: () => (latest === null ? {} : { [POSITION_HEADER]: latest.text }),
    note(answer) {
      const text = answer.get(POSITION_HEADER);
      const at = text === null ? null : parse(text);
      if (text !== null && at !== null && (latest === null || at > latest.at)) latest = { text, at };
    },
  };
}

/** Two numbers of 32 bits in hex, such as `16/B374D848`; null if it is not such a position. */
function parse(text: string): bigint | null {
  const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text);
  return match ? (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`) : null;
}
