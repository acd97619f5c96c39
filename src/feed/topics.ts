/** Who is to receive an entry of the log: consumers by deployment, by strategy, or of everything. */
import { covers } from '../store/access/strategyScope.ts';
import type { LogEntry, LogFilter } from '../store/log/logEntry.ts';
import type { Rewound } from './serverWatch.ts';

export interface Consumer {
  readonly filter: LogFilter;
  readonly take: (entry: LogEntry) => void;
  /** Is notified when entries have ceased to exist. */
  readonly rewound?: (rewound: Rewound) => void;
}

/** Indexes consumers by deployment, by strategy, or for everything, so that an entry only reaches candidates. */
export function createTopics() {
  const consumers = new Map<string, Set<Consumer>>();
  const topicOf = ({ deploymentId, strategyId }: LogFilter) =>
    deploymentId !== undefined ? `d:${deploymentId}` : strategyId !== undefined ? `s:${strategyId}` : '*';
  let size = 0;
  return {
    size: () => size,
    join(consumer: Consumer): () => void {
      const topic = topicOf(consumer.filter);
      const joined = consumers.get(topic) ?? new Set();
      consumers.set(topic, joined.add(consumer));
      size += 1;
      return () => {
        if (!joined.delete(consumer)) return;
        size -= 1;
        if (joined.size === 0) consumers.delete(topic);
      };
    },
    rewound(rewound: Rewound): void {
      for (const joined of consumers.values()) for (const { rewound: hear } of joined) hear?.(rewound);
    },
    publish(entry: LogEntry): void {
      for (const topic of [`d:${entry.deploymentId}`, `s:${entry.strategyId}`, '*']) {
        for (const consumer of consumers.get(topic) ?? []) {
          if (passes(consumer.filter, entry)) consumer.take(entry);
        }
      }
    },
  };
}

function passes(filter: LogFilter, entry: LogEntry): boolean {
  const { deploymentId, strategyId, types, timelineOnly, scope } = filter;
  if (deploymentId !== undefined && deploymentId !== entry.deploymentId) return false;
  if (strategyId !== undefined && strategyId !== entry.strategyId) return false;
  if (timelineOnly && !entry.timeline) return false;
  if (!covers(scope, entry.strategyId)) return false;
  return types === undefined || types.includes(entry.event.type);
}
