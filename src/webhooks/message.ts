/** The message of an event: its body, and its headers according to the Standard Webhooks specification. */
import { Webhook } from 'standardwebhooks';
import { describeEvent } from '../core/lifecycle/describe.ts';
import { epochOf, eventId } from '../store/log/incarnations.ts';
import type { LogEntry } from '../store/log/logEntry.ts';
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
 * The id is that of the event, the same in every attempt. The timestamp is that of the attempt, so that a receiver can
 * refuse old messages. Every secret signs the message.
 */
function signed(plainId: string, body: string, secrets: readonly string[]): Message {
  // A header is ASCII, but ids may contain any letter.
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

/** The JSON body: the type, time and data of the event. */
function bodyOf({ event, stored, change, position, deploymentId, strategyId }: LogEntry): string {
  const { no, at, actor, revision, type, ...details } = stored;
  const data = {
    id: eventId(deploymentId, event.no, epochOf(position.incarnation)),
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
