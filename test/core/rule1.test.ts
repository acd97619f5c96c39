/** Logs, documents and records made under the first form of the rule stay what they were. */
import { describe, expect, test } from 'vitest';
import { fromDocument, toDocument } from '../../src/core/document/document.ts';
import { recompute } from '../../src/core/lifecycle/recompute.ts';
import { stateToColumns } from '../../src/store/deployments/rows.ts';
import { oldDatabase, oldDeployments } from '../harness/rule1.ts';

const inJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe.each(oldDeployments())('$name ($status)', ({ document, columns, decisions }) => {
  const read = fromDocument(document);
  if (!read.ok) throw new Error(JSON.stringify(read.violations));
  const { state, events } = read.value;

  test('its log replays to the state it had, byte for byte', () => {
    // The column is new: an allocation of that time has no deadline.
    expect(inJson(stateToColumns(state))).toEqual({ ...columns, settleBy: null });
    expect(JSON.stringify(stateToColumns(state).detail)).toBe(JSON.stringify(columns.detail));
    expect(JSON.stringify(stateToColumns(state).config)).toBe(JSON.stringify(columns.config));
  });

  test('its document is written as it was read', () => {
    expect(toDocument(read.value)).toEqual({ ...document, version: 2, clockRate: 1 });
  });

  test('its decisions are made again as they were made', () => {
    const made = events.flatMap((event) => (event.type === 'DECISION_MADE' ? [event.record] : []));
    expect(made).toHaveLength(decisions);
    for (const record of made) {
      const again = recompute(record, state);
      expect(again.decision).toBe(record.decision);
      expect(again.comparison).toEqual(record.comparison);
    }
  });
});

test('documents exported by a server of that time are read, archived ones too', () => {
  for (const document of Object.values(oldDatabase().documents)) {
    const read = fromDocument(document);
    expect(read).toMatchObject({ ok: true });
    if (read.ok) expect(toDocument(read.value)).toEqual({ ...document, version: 2, clockRate: 1 });
  }
});
