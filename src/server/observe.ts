/** Every operation, seen from outside: how long it took and how it ended, as a metric, a line of the log, and a trace. */
import {
  type ExecutionArgs,
  type ExecutionResult,
  getOperationAST,
  Kind,
  type SelectionNode,
  type ValueNode,
  valueFromASTUntyped,
} from 'graphql';
import { handleStreamOrSingleExecutionResult, type Plugin } from 'graphql-yoga';
import type { Logger } from 'pino';
import type { Arrived } from './arrival.ts';
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

export function observeOperations(observers: Observers): Plugin<Arrived> {
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

function lookAt({ document, operationName, variableValues }: ExecutionArgs, context: Arrived): Observed {
  const operation = getOperationAST(document, operationName);
  const selections = operation?.selectionSet.selections ?? [];
  const headers = context.req?.headers ?? {};
  return {
    type: operation?.operation ?? 'unknown',
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
