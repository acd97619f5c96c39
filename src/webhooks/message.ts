/** The message of an event: its body, and its headers by the Standard Webhooks specification. */
import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import { describeEvent } from '../core/lifecycle/describe.ts';
import { eventCodec } from '../core/lifecycle/events.ts';
import { formatCursor, type LogEntry } from '../store/log/eventLog.ts';
import type { Message } from './send.ts';

/**
 * Its id is the event's, the same at every try; the timestamp is the try's, so that a receiver can refuse what is
 * old. Every secret signs.
 */
export function messageOf(entry: LogEntry, secrets: readonly string[]): Message {
  const body = bodyOf(entry);
  // A header is ASCII; ids may have any letter.
  const id = encodeURI(`${entry.deploymentId}:${entry.event.no}`);
  const at = new Date();
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'serin',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(id, at, body)).join(' '),
  };
  return { headers, body };
}

/** What the event is, when it happened, and all of it. */
function bodyOf({ event, change, position, deploymentId, strategyId }: LogEntry): string {
  const { no, at, actor, revision, type, ...details } = z.encode(eventCodec, event);
  const data = {
    id: `${deploymentId}:${no}`,
    cursor: formatCursor(position),
    deploymentId,
    strategyId,
    no,
    actor,
    revision,
    previousStatus: change?.previousStatus ?? null,
    status: change?.status ?? null,
    description: describeEvent(event),
    details,
  };
  return JSON.stringify({ type, timestamp: at, data });
}
