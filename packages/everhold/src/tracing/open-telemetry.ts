import { EverholdError } from "@everhold/base";
import { parseUrl } from "@everhold/client";
import type { TracedMessage, TracedOperation, TraceDetails } from "@everhold/env";
import { clientChannels } from "@everhold/node";

/** As much of a span of `@opentelemetry/api` as is used here. */
export interface OpenTelemetrySpan {
  setAttribute(name: string, value: string | number): unknown;
  recordException(error: Error | string): void;
  setStatus(status: { code: number; message?: string }): unknown;
  end(): void;
}

/** As much of `@opentelemetry/api` as is used here; `Context` is its type of that name. */
export interface OpenTelemetryApi<Context, Span extends OpenTelemetrySpan> {
  readonly trace: {
    getTracer(name: string): {
      startSpan(
        name: string,
        options: { kind: number; attributes: Record<string, string | number> },
        context: Context,
      ): Span;
    };
    setSpan(context: Context, span: Span): Context;
  };
  readonly context: {
    active(): Context;
    with<Result>(context: Context, work: () => Result): Result;
  };
  readonly propagation: {
    inject(context: Context, carrier: Record<string, string>): void;
    extract(context: Context, carrier: Readonly<Record<string, string>>): Context;
  };
}

/** `SpanKind` of `@opentelemetry/api`: a message is made, an answer is waited for, a message is handled. */
const kinds = { connect: 2, send: 3, receive: 2, process: 4, settle: 2 } as const;
const statusError = 2;

/**
 * Makes spans of what clients in this process do, in the words of OpenTelemetry's conventions for messaging, until
 * the function given back is called. The trace goes on where a message is handled: `send` puts its context into the
 * message's properties, and what a handler of `run()` does belongs to the span of its message.
 *
 * @example
 * import * as openTelemetry from "@opentelemetry/api";
 * const stop = traceWithOpenTelemetry(openTelemetry);
 */
export function traceWithOpenTelemetry<Context, Span extends OpenTelemetrySpan>(
  api: OpenTelemetryApi<Context, Span>,
): () => void {
  const tracer = api.trace.getTracer("everhold");
  const spans = new WeakMap<object, Span>();

  function begin(operation: TracedOperation, details: TraceDetails): void {
    const { destination, headers, message } = details;
    const active = api.context.active();
    const parent =
      operation === "process" && message !== undefined
        ? api.propagation.extract(active, message.headers)
        : active;
    const name = details.settlement ?? operation;
    const options = { kind: kinds[operation], attributes: attributesOf(operation, details) };
    // Spans are grouped by their names: those of connecting have one.
    const spanName = operation === "connect" ? name : `${name} ${destination}`;
    const span = tracer.startSpan(spanName, options, parent);
    spans.set(details, span);
    const own = api.trace.setSpan(parent, span);
    if (headers !== undefined) api.propagation.inject(own, headers);
    details.within = (work) => api.context.with(own, work);
  }

  function end(operation: TracedOperation, details: TraceDetails): void {
    const span = spans.get(details);
    if (span === undefined) return;
    spans.delete(details);
    const { error, message } = details;
    if (operation === "receive" && message !== undefined) noteMessage(span, message);
    if (error !== undefined) noteError(span, error);
    span.end();
  }

  const stops = Object.entries(clientChannels).map(([name, channel]) => {
    const operation = asOperation(name);
    const subscribers = {
      start: (details: TraceDetails) => begin(operation, details),
      end: () => undefined,
      asyncStart: () => undefined,
      asyncEnd: (details: TraceDetails) => end(operation, details),
      error: () => undefined,
    };
    channel.subscribe(subscribers);
    return (): void => {
      channel.unsubscribe(subscribers);
    };
  });
  return () => {
    for (const stop of stops) stop();
  };
}

function attributesOf(
  operation: TracedOperation,
  { destination, message, settlement }: TraceDetails,
): Record<string, string | number> {
  const common = {
    "messaging.system": "everhold",
    "messaging.operation.name": settlement ?? operation,
  };
  if (operation === "connect") return { ...common, ...serverAttributes(destination) };
  return {
    ...common,
    "messaging.operation.type": operation,
    "messaging.destination.name": destination,
    ...(message === undefined ? {} : messageAttributes(message)),
  };
}

/** Of a list it is not known which broker it will be. */
function serverAttributes(urls: string): Record<string, string | number> {
  const [first, ...others] = parseUrl(urls).endpoints;
  if (first === undefined || others.length > 0) return { "everhold.urls": urls };
  return { "server.address": first.host, "server.port": first.port };
}

function messageAttributes({ id, deliveryCount }: TracedMessage): Record<string, string | number> {
  return { "messaging.message.id": id, "everhold.delivery_count": deliveryCount };
}

function noteMessage(span: OpenTelemetrySpan, message: TracedMessage): void {
  for (const [name, value] of Object.entries(messageAttributes(message))) {
    span.setAttribute(name, value);
  }
}

function noteError(span: OpenTelemetrySpan, error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  span.recordException(error instanceof Error ? error : text);
  span.setStatus({ code: statusError, message: text });
  span.setAttribute("error.type", EverholdError.is(error) ? error.code : "_OTHER");
  if (EverholdError.is(error)) span.setAttribute("everhold.outcome", error.outcome);
}

function asOperation(name: string): TracedOperation {
  switch (name) {
    case "connect":
    case "send":
    case "receive":
    case "process":
    case "settle":
      return name;
    default:
      throw new TypeError(`${name} is no operation of a client`);
  }
}
