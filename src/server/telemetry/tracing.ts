/**
 * Traces for a collector of OTLP over HTTP: a span for every operation, linked to the caller's trace, and one for every
 * check. Loaded only if `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
 */
import { type Context, ROOT_CONTEXT, SpanKind, SpanStatusCode, type Tracer } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';

export interface Tracing {
  operation(operation: TracedOperation): void;
  check(check: TracedCheck): void;
  /** Sends the collected spans and stops. */
  stop(): Promise<void>;
}

export interface TracedOperation {
  readonly type: string;
  /** The root fields, whatever the client calls its operation. */
  readonly fields: readonly string[];
  readonly deploymentId: string | undefined;
  readonly actor: string;
  readonly requestId: string | undefined;
  /** The caller's `traceparent`. */
  readonly parent: string | undefined;
  readonly outcome: string;
  readonly ms: number;
}

export interface TracedCheck {
  readonly deploymentId: string;
  readonly events: readonly string[];
  readonly failed: boolean;
  readonly ms: number;
}

/** @param endpoint the collector's address, without the path of traces */
export function startTracing(endpoint: string, serviceName: string): Tracing {
  const url = `${endpoint.replace(/\/$/, '')}/v1/traces`;
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName }),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url }), { scheduledDelayMillis: 1000 })],
  });
  const tracer = provider.getTracer('serin');
  return {
    operation({ type, fields, deploymentId, actor, requestId, parent, outcome, ms }) {
      span(tracer, `${type} ${fields.join(' ')}`, contextOf(parent), ms, outcome !== 'OK' && outcome, {
        'graphql.operation.type': type,
        'serin.actor': actor,
        'serin.outcome': outcome,
        'serin.deployment_id': deploymentId,
        'serin.request_id': requestId,
      });
    },
    check({ deploymentId, events, failed, ms }) {
      span(tracer, 'check', ROOT_CONTEXT, ms, failed && 'the check failed', {
        'serin.deployment_id': deploymentId,
        'serin.events': [...events],
      });
    },
    stop: () => provider.shutdown(),
  };
}

const propagator = new W3CTraceContextPropagator();

function contextOf(traceparent: string | undefined): Context {
  if (traceparent === undefined) return ROOT_CONTEXT;
  return propagator.extract(
    ROOT_CONTEXT,
    { traceparent },
    { get: () => traceparent, keys: () => ['traceparent'] },
  );
}

/** Records a span that has already ended. */
function span(
  tracer: Tracer,
  name: string,
  parent: Context,
  ms: number,
  failure: string | false,
  attributes: Record<string, string | string[] | undefined>,
): void {
  const end = Date.now();
  const made = tracer.startSpan(name, { kind: SpanKind.SERVER, startTime: end - ms, attributes }, parent);
  if (failure) made.setStatus({ code: SpanStatusCode.ERROR, message: failure });
  made.end(end);
}
