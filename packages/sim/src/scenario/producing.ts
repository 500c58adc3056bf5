import { bodyOf, pickBodyChars, pickDeliverAt, pickTimeout } from "./content.ts";
import type { Program } from "./client-process.ts";

/** What a producing program sends. */
export interface ProducingPlan {
  readonly address: string;
  readonly routing: "anycast" | "multicast";
  /** Messages that the machine sends altogether, over all its lives. */
  readonly messageCount: number;
  /** How many may wait for their confirmation at a time. */
  readonly inFlightMax: number;
  /** Longest pause between two sends, in ms. */
  readonly pauseMsMax: number;
  /** Characters of each body: all are durable then, and none is for later. Default: messages of all kinds. */
  readonly bodyChars?: number;
}

/**
 * Sends messages, one after the other without waiting for confirmations. What a crash leaves unsent is
 * sent by the next life, under a producer's name of its own.
 */
export function producing(plan: ProducingPlan): Program {
  let sentCount = 0;
  return async ({ name, connection, ledger, oracle, prng, note, sleep, wallMs, ready }) => {
    const producer = connection.producer(plan.address, { routing: plan.routing });
    ready();
    const inFlight = new Set<Promise<unknown>>();
    for (let sequence = 1; sentCount < plan.messageCount; sequence += 1) {
      sentCount += 1;
      const id = `${name}-${sequence}`;
      const isPlain = plan.bodyChars !== undefined;
      const durable = isPlain || prng.chance(0.9);
      const body = bodyOf(id, plan.bodyChars ?? pickBodyChars(prng));
      const { address } = plan;
      const deliverAt = isPlain ? undefined : pickDeliverAt(prng, wallMs());
      const options = deliverAt === undefined ? { durable } : { durable, deliverAt };
      const timeout = isPlain ? {} : pickTimeout(prng);
      const when = deliverAt === undefined ? "" : `, for ${deliverAt}`;
      note("sends", `${id} ${durable ? "durable" : "non-durable"}, ${body.length} chars${when}`);
      oracle.sendStarted({ id, producer: name, sequence, address, ...options });
      const sending = ledger
        .track(
          `send ${id}`,
          () =>
            producer.send(body, {
              ...options,
              ...timeout,
              properties: { id, chars: body.length },
            }),
          (outcome) => {
            note("sent", `${id} ${outcome}`);
            if (durable && outcome === "unknown" && !ledger.isAbandoned) oracle.doubtLeft(id);
            oracle.sendSettled(id, outcome);
          },
        )
        .finally(() => inFlight.delete(sending));
      inFlight.add(sending);
      if (inFlight.size >= plan.inFlightMax) await Promise.race(inFlight);
      if (prng.chance(0.5)) await sleep(prng.fraction() * plan.pauseMsMax);
    }
    await Promise.all(inFlight);
    await ledger.track("close producer", () => producer.close());
  };
}
