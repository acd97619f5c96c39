/** Every operation, seen from outside: how long it took and how it ended, as a metric, a line of the log, and a trace. */
import { type ExecutionArgs, type ExecutionResult, getOperationAST, Kind } from 'graphql';
import { handleStreamOrSingleExecutionResult, type Plugin } from 'graphql-yoga';
import type { Logger } from 'pino';
import type { Context } from '../graphql/builder.ts';
import type { Metrics } from './metrics.ts';
import type { Tracing } from './tracing.ts';

export interface Observers {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Null where no collector is configured. */
  readonly tracing: Tracing | null;
}

/** Mutations that bots repeat every few seconds; their lines are for debugging. */
const REPORTS = new Set(['updateCanaryMetrics', 'updateStableMetrics', 'reportMetrics', 'recordTrades']);

interface Observed {
  readonly type: string;
  /** The root fields: what was asked for, whatever the client calls its operation. */
  readonly fields: readonly string[];
  readonly deploymentId: string | undefined;
  readonly actor: string;
  readonly requestId: string | undefined;
  readonly parent: string | undefined;
}

interface ObservedContext extends Context {
  readonly request?: Request;
}

export function observeOperations(observers: Observers): Plugin<ObservedContext> {
  const { metrics } = observers;
  return {
    onValidate() {
      const begun = performance.now();
      return ({ valid }) => {
        if (!valid) metrics.countOperation('unknown', 'INVALID', (performance.now() - begun) / 1000);
      };
    },
    onExecute({ args }) {
      const begun = performance.now();
      const operation = lookAt(args, args.contextValue);
      return {
        onExecuteDone: (payload) =>
          handleStreamOrSingleExecutionResult(payload, ({ result }) =>
            tell(observers, operation, result, begun),
          ),
      };
    },
    onSubscribe({ args }) {
      const begun = performance.now();
      const operation = lookAt(args, args.contextValue);
      return {
        onSubscribeResult({ result }) {
          tell(observers, operation, 'errors' in result ? result : {}, begun);
        },
      };
    },
  };
}

function lookAt(
  { document, operationName, variableValues }: ExecutionArgs,
  context: ObservedContext,
): Observed {
  const operation = getOperationAST(document, operationName);
  const selections = operation?.selectionSet.selections ?? [];
  const headers = context.request?.headers;
  return {
    type: operation?.operation ?? 'unknown',
    fields: selections.flatMap((node) => (node.kind === Kind.FIELD ? [node.name.value] : [])).slice(0, 5),
    deploymentId: deploymentIn(variableValues),
    actor: context.actor.name,
    requestId: headers?.get('x-request-id') ?? undefined,
    parent: headers?.get('traceparent') ?? undefined,
  };
}

/** The deployment that an operation names in its variables, wherever clients put it. */
function deploymentIn(variables: unknown): string | undefined {
  if (typeof variables !== 'object' || variables === null) return undefined;
  const given: Record<string, unknown> = { ...variables };
  const input: Record<string, unknown> = typeof given.input === 'object' ? { ...given.input } : {};
  const id = input.deploymentId ?? given.deploymentId ?? given.id;
  return typeof id === 'string' ? id.slice(0, 200) : undefined;
}

function tell(
  { log, metrics, tracing }: Observers,
  observed: Observed,
  { errors }: ExecutionResult,
  begun: number,
): void {
  const ms = performance.now() - begun;
  const error = errors?.[0];
  const outcome = error ? String(error.extensions?.code ?? 'ERROR') : 'OK';
  metrics.countOperation(observed.type, outcome, ms / 1000);
  const { parent, ...line } = observed;
  tracing?.operation({ ...observed, outcome, ms, parent });
  const matters =
    outcome !== 'OK' || (observed.type === 'mutation' && !observed.fields.every((f) => REPORTS.has(f)));
  const level = matters ? 'info' : 'debug';
  if (!log.isLevelEnabled(level)) return;
  // The id of a masked error leads from the client's answer to the line that has its details.
  const errorId = error?.extensions?.id;
  log[level](
    { ...line, outcome, ms: Math.round(ms * 10) / 10, ...(errorId ? { errorId } : {}) },
    'operation',
  );
}
