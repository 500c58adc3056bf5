import type { Prng } from "@everhold/base";
import type { Program } from "./client-process.ts";
import { consuming } from "./consuming.ts";
import { deadLetterQueue } from "./everhold.ts";
import { producing } from "./producing.ts";
import { transferring } from "./transferring.ts";

/** One client machine and its program. */
export interface Role {
  readonly name: string;
  readonly clientId?: string;
  readonly program: Program;
}

/** A queue that the oracle watches. */
export interface WatchedQueue {
  readonly queue: string;
  readonly address: string;
  /** Several consumers compete for it. */
  readonly shared: boolean;
}

/** Who takes part in a scenario. */
export interface Cast {
  readonly queues: readonly WatchedQueue[];
  readonly consumers: readonly Role[];
  readonly producers: readonly Role[];
}

/**
 * Two producers and six consumers around: `orders`, a queue with one consumer; `jobs`, a queue for which
 * two compete and give messages back; `news`, a topic with a durable subscription and a shared one; and
 * `raw`, a queue from which one process moves messages to `done`, a transaction at a time. What was
 * attempted too often goes to the dead letters, which somebody settles as well; where there are any,
 * `news` has one subscription only, so that each dead letter can be told to be of one queue.
 */
export function newCast(prng: Prng, hasDeadLetters: boolean): Cast {
  const workMsMax = prng.pick([1, 20, 200]);
  const releaseProbability = hasDeadLetters ? 0.3 : 0.1;
  const consumers: Role[] = [
    queueConsumer("orders-consumer", "orders", 0, workMsMax),
    queueConsumer("jobs-consumer-1", "jobs", releaseProbability, workMsMax),
    queueConsumer("jobs-consumer-2", "jobs", releaseProbability, workMsMax),
    subscriber("archive", false, workMsMax),
    ...(hasDeadLetters ? [] : [subscriber("audit", true, workMsMax)]),
    queueConsumer("done-consumer", "done", 0, workMsMax),
    ...(hasDeadLetters ? [queueConsumer("mourner", deadLetterQueue, 0, workMsMax)] : []),
    { name: "transfer", program: transferring({ from: "raw", to: "done" }) },
  ];
  const producer = (name: string, address: string, routing: "anycast" | "multicast"): Role => ({
    name,
    program: producing({
      address,
      routing,
      messageCount: prng.integer(10, 80),
      inFlightMax: prng.pick([1, 4, 50]),
      pauseMsMax: prng.pick([10, 200, 1500]),
    }),
  });
  return {
    queues: [
      { queue: "orders", address: "orders", shared: false },
      { queue: "jobs", address: "jobs", shared: true },
      { queue: "archive.archive", address: "news", shared: false },
      ...(hasDeadLetters ? [] : [{ queue: "audit", address: "news", shared: false }]),
      { queue: "raw", address: "raw", shared: false },
      { queue: "done", address: "done", shared: false },
    ],
    consumers,
    producers: [
      producer("orders-producer", "orders", "anycast"),
      producer("jobs-producer", "jobs", "anycast"),
      producer("news-producer", "news", "multicast"),
      producer("raw-producer", "raw", "anycast"),
    ],
  };
}

function queueConsumer(
  name: string,
  queue: string,
  releaseProbability: number,
  workMsMax: number,
): Role {
  const program = consuming({
    open: ({ connection }) => connection.consumer(queue),
    releaseProbability,
    workMsMax,
  });
  return { name, program };
}

function subscriber(name: string, shared: boolean, workMsMax: number): Role {
  const program = consuming({
    open: ({ connection }) => connection.subscribe("news", { name, durable: true, shared }),
    releaseProbability: 0,
    workMsMax,
  });
  return shared ? { name, program } : { name, clientId: name, program };
}
