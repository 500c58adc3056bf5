import type { Broker } from "@everhold/broker";
import type { Observed } from "./model.ts";

type Value = Awaited<ReturnType<Broker["management"]["invoke"]>["value"]>;

/** Everything that all queues hold, in the order in which the broker lists it. */
export async function observe(broker: Broker, queues: readonly string[]): Promise<Observed[]> {
  const all: Observed[] = [];
  for (const queue of queues) {
    const ask = async (operation: string, values: string[]): Promise<Value> =>
      broker.management.invoke(`queue.${queue}`, operation, values).value;
    for (const message of maps(await ask("listMessages", [""]))) {
      all.push(observed(queue, "ready", message));
    }
    for (const message of maps(await ask("listScheduledMessages", []))) {
      all.push(observed(queue, "scheduled", message));
    }
    const holders = await ask("listDeliveringMessages", []);
    if (!isMap(holders)) continue;
    for (const messages of Object.values(holders)) {
      for (const message of maps(messages)) all.push(observed(queue, "held", message));
    }
  }
  return all;
}

type ValueMap = Readonly<Record<string, Value>>;

function isMap(value: Value | undefined): value is ValueMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function maps(value: Value | undefined): ValueMap[] {
  return Array.isArray(value) ? value.filter(isMap) : [];
}

function observed(queue: string, place: Observed["place"], message: ValueMap): Observed {
  const dueMs = message["_AMQ_SCHED_DELIVERY"];
  const origin = message["_AMQ_ORIG_QUEUE"];
  return {
    id: typeof message["id"] === "string" ? message["id"] : "nameless",
    queue,
    origin: typeof origin === "string" ? origin : "",
    place,
    messageId: Number(message["messageID"]),
    attempts: Number(message["deliveryCount"]),
    // One that was moved still has the property that it was sent with.
    dueMs: place === "scheduled" && typeof dueMs === "number" ? dueMs : 0,
  };
}
