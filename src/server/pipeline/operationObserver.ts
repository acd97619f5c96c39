/** Records every operation: its duration and outcome as a metric, a log line and a trace. */
import {
  type ExecutionResult,
  getOperationAST,
  Kind,
  type SelectionNode,
  type ValueNode,
  valueFromASTUntyped,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Logger } from 'pino';
import type { Metrics } from '../telemetry/prometheus.ts';
import type { TracedOperation, Tracing } from '../telemetry/tracing.ts';
import type { Operation, OperationContext } from './operation.ts';

export interface Observers {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Null if no collector is configured. */
  readonly tracing: Tracing | null;
}

/** Mutations that bots repeat every few seconds; logged at level debug. */
const REPORTS = new Set(['updateCanaryMetrics', 'updateStableMetrics', 'reportMetrics', 'recordTrades']);

/** What is known of an operation before it ends. */
type Observed = Omit<TracedOperation, 'type' | 'outcome' | 'ms'>;

/** Called when an operation begins; returns a function to call with its result. */
export type Observer = (operation: Operation) => (result: ExecutionResult) => void;

export function createObserver(observers: Observers): Observer {
  return (operation) => {
    const startedAt = performance.now();
    return (result) => record(observers, operation, result, startedAt);
  };
}

/** Observes operations that are not executed: invalid documents, and subscriptions until they begin. */
export function observeRest(observe: Observer, metrics: Metrics): Plugin<OperationContext> {
  return {
    onValidate() {
      const startedAt = performance.now();
      return ({ valid }) => {
        if (!valid) metrics.countOperation('unknown', 'INVALID', (performance.now() - startedAt) / 1000);
      };
    },
    onSubscribe({ args }) {
      const end = observe(args);
      return {
        onSubscribeResult({ result }) {
          end('errors' in result ? result : {});
        },
      };
    },
  };
}

function describeOperation({
  document,
  operationName,
  variableValues,
  contextValue: context,
}: Operation): Observed {
  const operation = getOperationAST(document, operationName);
  const selections = operation?.selectionSet.selections ?? [];
  const headers = context.req?.headers ?? {};
  return {
    fields: selections.flatMap((node) => (node.kind === Kind.FIELD ? [node.name.value] : [])).slice(0, 5),
    deploymentId: deploymentIn(selections, variableValues ?? {}),
    actor: context.actor.name,
    requestId: single(headers['x-request-id']),
    parent: single(headers.traceparent),
  };
}

/** The value of a header that occurs once. */
function single(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : undefined;
}

/** Root fields that call a deployment's id `id`. */
const BY_ID = new Set(['createDeployment', 'deployment', 'exportDeployment']);

/** The deployment that an operation names first, in its variables or in the document itself. */
function deploymentIn(
  selections: readonly SelectionNode[],
  variables: Readonly<Record<string, unknown>>,
): string | undefined {
  for (const node of selections) {
    if (node.kind !== Kind.FIELD) continue;
    const names = BY_ID.has(node.name.value) ? ['deploymentId', 'id'] : ['deploymentId'];
    for (const { name, value } of node.arguments ?? []) {
      const isId = names.includes(name.value);
      const within = name.value === 'input' ? idWithin(value, names, variables) : undefined;
      const found = isId ? valueFromASTUntyped(value, variables) : within;
      if (typeof found === 'string') return found.slice(0, 200);
    }
  }
  return undefined;
}

/** Reads only the id of an input, which may be long. */
function idWithin(
  input: ValueNode,
  names: readonly string[],
  variables: Readonly<Record<string, unknown>>,
): unknown {
  if (input.kind === Kind.OBJECT) {
    const field = input.fields.find(({ name }) => names.includes(name.value));
    return field && valueFromASTUntyped(field.value, variables);
  }
  const given = input.kind === Kind.VARIABLE ? variables[input.name.value] : undefined;
  if (typeof given !== 'object' || given === null) return undefined;
  return Object.entries(given).find(([name]) => names.includes(name))?.[1];
}

function record(
  { log, metrics, tracing }: Observers,
  operation: Operation,
  { errors }: ExecutionResult,
  startedAt: number,
): void {
  const ms = performance.now() - startedAt;
  const error = errors?.[0];
  const outcome = error ? String(error.extensions?.code ?? 'ERROR') : 'OK';
  const type = getOperationAST(operation.document, operation.operationName)?.operation ?? 'unknown';
  metrics.countOperation(type, outcome, ms / 1000);
  const routine = type !== 'mutation' && outcome === 'OK';
  // Routine successes are described only if a trace or the debug log needs it.
  if (routine && !tracing && !log.isLevelEnabled('debug')) return;
  const { parent, ...line } = describeOperation(operation);
  tracing?.operation({ type, ...line, outcome, ms, parent });
  const level = routine || (outcome === 'OK' && line.fields.every((f) => REPORTS.has(f))) ? 'debug' : 'info';
  if (!log.isLevelEnabled(level)) return;
  // The id of a masked error leads from the client's response to the log line with the details.
  const errorId = error?.extensions?.id;
  log[level](
    { type, ...line, outcome, ms: Math.round(ms * 10) / 10, ...(errorId ? { errorId } : {}) },
    'operation',
  );
}
