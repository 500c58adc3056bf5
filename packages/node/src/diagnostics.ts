import {
  channel as plainChannel,
  tracingChannel,
  type TracingChannel,
} from "node:diagnostics_channel";
import type { ToldEvent, TracedOperation, TraceDetails, Tracing } from "@everhold/env";

function channel(operation: TracedOperation): TracingChannel<unknown, TraceDetails> {
  return tracingChannel<unknown, TraceDetails>(`everhold:client:${operation}`);
}

/**
 * The channels on which clients tell what they do; `tracing:everhold:client:send:start` and its like. Their names
 * are API. Payloads are {@link TraceDetails}.
 */
export const clientChannels = {
  connect: channel("connect"),
  send: channel("send"),
  receive: channel("receive"),
  process: channel("process"),
  settle: channel("settle"),
} as const satisfies Record<TracedOperation, TracingChannel<unknown, TraceDetails>>;

/** The channel on which clients tell what happens to their connections. Payloads are {@link ToldEvent}. */
export const connectionChannel = plainChannel("everhold:client:connection");

/** Tells what clients do on channels of `node:diagnostics_channel`. */
export class NodeTracing implements Tracing {
  watches(operation: TracedOperation): boolean {
    return clientChannels[operation].hasSubscribers;
  }

  tell(told: ToldEvent): void {
    if (connectionChannel.hasSubscribers) connectionChannel.publish(told);
  }

  trace<Result>(
    operation: TracedOperation,
    details: TraceDetails,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const begin = (): Promise<Result> =>
      details.within === undefined ? work() : details.within(work);
    return clientChannels[operation].tracePromise(begin, details);
  }
}
