import type { TracedMessage, TraceDetails, Tracing } from "@everhold/env";
import type { Properties } from "./message/properties.ts";
import type { Message } from "./receive/message.ts";

/** Properties in which a trace context travels (W3C Trace Context, Baggage), named as in OpenTelemetry for JMS. */
const headerNames = ["traceparent", "tracestate", "baggage"] as const;

/** A message as those see it who watch. */
export function tracedMessage(message: Message): TracedMessage {
  const headers: Record<string, string> = {};
  for (const name of headerNames) {
    const value = message.properties[name];
    if (typeof value === "string") headers[name] = value;
  }
  const { id, address, deliveryCount } = message;
  return { id, address, deliveryCount, headers };
}

/** Properties with the headers that watchers have given, where the application has not set them itself. */
export function withHeaders(
  properties: Properties | undefined,
  headers: Readonly<Record<string, string>>,
): Properties {
  return { ...headers, ...properties };
}

/** Does what gives a message, or none, and tells those who watch which. */
export function traceReceive<Received extends Message | null | undefined>(
  tracing: Tracing,
  queue: string,
  receive: () => Promise<Received>,
): Promise<Received> {
  const details: TraceDetails = { destination: queue };
  return tracing.trace("receive", details, async () => {
    const message = await receive();
    if (message) details.message = tracedMessage(message);
    return message;
  });
}

/** Does what settles a message. Rejects, too, where the message cannot be read. */
export async function traceSettle(
  tracing: Tracing,
  message: Message,
  settlement: NonNullable<TraceDetails["settlement"]>,
  settle: () => Promise<void>,
): Promise<void> {
  const details = { destination: message.queue, message: tracedMessage(message), settlement };
  await tracing.trace("settle", details, settle);
}
