/** Closed trades in batches that Serin takes, and their answers as one. */
import type { CLOSED, DomainError, STOOD_DOWN, Trade, TradesResult } from './operations.ts';

/** Most trades of a batch. */
const MOST_TRADES = 1000;

/**
 * Sends any number of trades, batch after batch.
 * @param send one batch; its answer, or null where nothing is sent any more
 * @param unsent the answer to what was not sent
 */
export async function recordInBatches(
  trades: readonly Trade[],
  send: (batch: readonly Trade[]) => Promise<TradesResult | null>,
  unsent: () => typeof CLOSED | typeof STOOD_DOWN,
): Promise<TradesResult> {
  let all: TradesResult = { success: true, message: '', error: null, taken: 0, known: 0, refused: [] };
  for (let from = 0; from === 0 || from < trades.length; from += MOST_TRADES) {
    const part = await send(trades.slice(from, from + MOST_TRADES));
    if (!part) return { ...all, ...unsent() };
    const refused = part.refused.map((trade) => {
      const index = trade.index + from;
      return { id: trades[index]?.id ?? '', index, error: placed(trade.error, trade.index, index) };
    });
    all = {
      success: all.success && part.success,
      message: part.message,
      error: all.error ?? part.error,
      taken: all.taken + part.taken,
      known: all.known + part.known,
      refused: [...all.refused, ...refused],
    };
  }
  return all;
}

/** An error of a trade with its place among all trades instead of that in its batch. */
function placed(error: DomainError, inBatch: number, index: number): DomainError {
  const [list = 'trades', , ...field] = error.path;
  const message = error.message.replace(`${list}.${inBatch}`, `${list}.${index}`);
  return { ...error, message, path: [list, String(index), ...field] };
}
