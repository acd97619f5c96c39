/** The message of an event: its body, and its headers by the Standard Webhooks specification. */
import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import { describeEvent } from '../core/lifecycle/describe.ts';
import { eventCodec } from '../core/lifecycle/events.ts';
import type { LogEntry } from '../store/log/eventLog.ts';
import { epochOf, eventId } from '../store/log/incarnations.ts';
import { formatCursor } from '../store/log/position.ts';
import type { RewindMessage } from '../store/webhooks/queue.ts';
import type { Message } from './send.ts';

/** The message of an event. */
export function messageOf(entry: LogEntry, secrets: readonly string[]): Message {
  const { deploymentId, event, position } = entry;
  return signed(eventId(deploymentId, event.no, epochOf(position.incarnation)), bodyOf(entry), secrets);
}

/** The message that events may have ceased to exist. */
export function rewindMessageOf({ label, at, last }: RewindMessage, secrets: readonly string[]): Message {
  const data = {
    epoch: Number(label.split('.')[0]),
    lastCursor: last ? formatCursor(last.position) : '0',
    lastMessageId: last?.messageId ?? null,
    description:
      'The database was set back to an earlier state, or may have been: messages after this one may have been sent for ' +
      'what no longer happened. Read the deployments anew',
  };
  const body = JSON.stringify({ type: 'HISTORY_REWOUND', timestamp: at.toISOString(), data });
  return signed(`history-rewound:${label}`, body, secrets);
}

/**
 * Its id is the event's, the same at every try; the timestamp is the try's, so that a receiver can refuse what is
 * old. Every secret signs.
 */
function signed(plainId: string, body: string, secrets: readonly string[]): Message {
  // A header is ASCII; ids may have any letter.
  const id = encodeURI(plainId);
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
    id: eventId(deploymentId, no, epochOf(position.incarnation)),
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
