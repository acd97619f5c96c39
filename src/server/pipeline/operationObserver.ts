/** Every operation, seen from outside: how long it took and how it ended, as a metric, a line of the log, and a trace. */
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
import type { Tracing } from '../telemetry/tracing.ts';
import type { Operation, OperationContext } from './operation.ts';

export interface Observers {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Null where no collector is configured. */
  readonly tracing: Tracing | null;
}

/** Mutations that bots repeat every few seconds; their lines are for debugging. */
const REPORTS = new Set(['updateCanaryMetrics', 'updateStableMetrics', 'reportMetrics', 'recordTrades']);

interface Observed {
  /** The root fields: what was asked for, whatever the client calls its operation. */
  readonly fields: readonly string[];
  readonly deploymentId: string | undefined;
  readonly actor: string;
  readonly requestId: string | undefined;
  readonly parent: string | undefined;
}

/** Sees an operation begin. What it answers is to be told how it ended. */
export type Observer = (operation: Operation) => (result: ExecutionResult) => void;

export function createObserver(observers: Observers): Observer {
  return (operation) => {
    const begun = performance.now();
    return (result) => tell(observers, operation, result, begun);
  };
}

/** Observes what does not come to be executed: documents that are not valid, and subscriptions until they begin. */
export function observeRest(observe: Observer, metrics: Metrics): Plugin<OperationContext> {
  return {
    onValidate() {
      const begun = performance.now();
      return ({ valid }) => {
        if (!valid) metrics.countOperation('unknown', 'INVALID', (performance.now() - begun) / 1000);
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

function lookAt({ document, operationName, variableValues, contextValue: context }: Operation): Observed {
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

/** Headers that are there once are no lists. */
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

/** Looks at no more of an input than the id: it may be long. */
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

function tell(
  { log, metrics, tracing }: Observers,
  operation: Operation,
  { errors }: ExecutionResult,
  begun: number,
): void {
  const ms = performance.now() - begun;
  const error = errors?.[0];
  const outcome = error ? String(error.extensions?.code ?? 'ERROR') : 'OK';
  const type = getOperationAST(operation.document, operation.operationName)?.operation ?? 'unknown';
  metrics.countOperation(type, outcome, ms / 1000);
  const routine = type !== 'mutation' && outcome === 'OK';
  // What goes well all day is looked at no closer, unless somebody wants to know.
  if (routine && !tracing && !log.isLevelEnabled('debug')) return;
  const { parent, ...line } = lookAt(operation);
  tracing?.operation({ type, ...line, outcome, ms, parent });
  const level = routine || (outcome === 'OK' && line.fields.every((f) => REPORTS.has(f))) ? 'debug' : 'info';
  if (!log.isLevelEnabled(level)) return;
  // The id of a masked error leads from the client's answer to the line that has its details.
  const errorId = error?.extensions?.id;
  log[level](
    { type, ...line, outcome, ms: Math.round(ms * 10) / 10, ...(errorId ? { errorId } : {}) },
    'operation',
  );
}
