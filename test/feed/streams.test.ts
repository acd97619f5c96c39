/** A stream ends with its consumer or with the feed, and leaves nothing on either. */
import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { createStreams } from '../../src/feed/streams.ts';

test('a stream that is closed, or that its consumer leaves, is forgotten', () => {
  const streams = createStreams();
  const consumer = new AbortController();
  const closed = streams.open(consumer.signal);
  const left = streams.open(consumer.signal);
  expect(streams.size()).toBe(2);
  closed.close();
  expect([closed.signal.aborted, left.signal.aborted, streams.size()]).toEqual([true, false, 1]);
  consumer.abort();
  expect([left.signal.aborted, streams.size()]).toEqual([true, 0]);
  expect(getEventListeners(consumer.signal, 'abort')).toEqual([]);
});

test('the end of all streams ends those that are opened later, too', () => {
  const streams = createStreams();
  const { signal } = new AbortController();
  const before = streams.open(signal);
  streams.end();
  const after = streams.open(signal);
  expect([before.signal.aborted, after.signal.aborted, streams.size()]).toEqual([true, true, 0]);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});
