import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { FaultKind } from "./history-line.ts";

/** How a client takes messages. */
export type ConsumerManner =
  /** `receive()`, with many acknowledgements under way. */
  | "receive"
  /** `run()` with a handler. */
  | "handler"
  /** Acknowledgements in transactions. */
  | "transacted"
  /** What comes is sent on to another address in the same transaction. */
  | "relay";

export interface PlannedAddress {
  readonly name: string;
  readonly routing: "anycast" | "multicast";
}

/** A queue; its id, as everything's id, is its index in the plan. */
export interface PlannedQueue {
  readonly name: string;
  readonly address: number;
}

/** One connection with a producer and a consumer. */
export interface PlannedClient {
  readonly address: number;
  readonly isTransacted: boolean;
  readonly queue: number;
  readonly manner: ConsumerManner;
  /** Where a relay sends. */
  readonly output: number;
}

/** What a run is to do, for everybody who takes part in it. */
export interface Plan {
  readonly seed: number;
  readonly seconds: number;
  readonly addresses: readonly PlannedAddress[];
  readonly queues: readonly PlannedQueue[];
  readonly clients: readonly PlannedClient[];
  /** Client processes. */
  readonly processCount: number;
  /** Messages a second of all producers together, as far as the broker takes them. */
  readonly rate: number;
  readonly appliedPerMinuteMin: number;
  readonly faultsPerMinuteMin: number;
  /** The kinds that there are; a run of three minutes has to have all of them. */
  readonly faults: readonly FaultKind[];
  /**
   * Whether the broker marks each repeat as redelivered. One that does not may leave the mark out where who had the
   * message before gave it back, or lost the connection.
   */
  readonly keepsMarks: boolean;
}

/** What is asked for. */
export type PlanOptions = Omit<Plan, "addresses" | "queues" | "clients"> & {
  readonly clientCount: number;
};

const blockSize = 8;
const addressesEach = 5;
const queuesEach = 6;

/**
 * Lays out clients in blocks of eight around five addresses: a queue with one consumer, where order is strict;
 * one with three; a topic with two subscriptions; and one that is relayed, in transactions, to another.
 * What is left over joins the other blocks.
 */
export function makePlan({ clientCount, ...options }: PlanOptions): Plan {
  const blockCount = Math.max(1, Math.floor(clientCount / blockSize));
  const blocks = Array.from({ length: blockCount }, (_, block) => block);
  return {
    ...options,
    addresses: blocks.flatMap((block) => [
      { name: `torture.alone.${block}`, routing: "anycast" as const },
      { name: `torture.shared.${block}`, routing: "anycast" as const },
      { name: `torture.topic.${block}`, routing: "multicast" as const },
      { name: `torture.relayed.${block}`, routing: "anycast" as const },
      { name: `torture.output.${block}`, routing: "anycast" as const },
    ]),
    queues: blocks.flatMap((block) => {
      const address = block * addressesEach;
      return [
        { name: `torture.alone.${block}`, address },
        { name: `torture.shared.${block}`, address: address + 1 },
        { name: `torture.topic.${block}.first`, address: address + 2 },
        { name: `torture.topic.${block}.second`, address: address + 2 },
        { name: `torture.relayed.${block}`, address: address + 3 },
        { name: `torture.output.${block}`, address: address + 4 },
      ];
    }),
    clients: Array.from({ length: clientCount }, (_, client) => {
      const block = Math.floor(client / blockSize);
      return plannedClient(client % blockSize, block < blockCount ? block : client % blockCount);
    }),
  };
}

function plannedClient(place: number, block: number): PlannedClient {
  const manners = [
    { queue: 0, manner: "receive" },
    { queue: 1, manner: "receive" },
    { queue: 1, manner: "transacted" },
    { queue: 2, manner: "handler" },
    { queue: 3, manner: "transacted" },
    { queue: 4, manner: "relay" },
    { queue: 5, manner: "receive" },
    { queue: 1, manner: "handler" },
  ] as const;
  const { queue, manner } = manners[place] ?? manners[0];
  return {
    address: block * addressesEach + Math.floor(place / 2),
    isTransacted: place % 2 === 1,
    queue: block * queuesEach + queue,
    manner,
    output: block * addressesEach + 4,
  };
}

/** The producer of a relay has a number of its own beside its client's. */
export function relayProducer(plan: Pick<Plan, "clients">, client: number): number {
  return plan.clients.length + client;
}

/** Consumers of a queue while the run lasts. */
export function consumerCount({ clients }: Pick<Plan, "clients">, queue: number): number {
  return clients.filter((client) => client.queue === queue).length;
}

/** The consumer that takes out what is left at the end. */
export function drainConsumer(plan: Pick<Plan, "clients">): number {
  return plan.clients.length;
}

const fileName = "plan.json";

export function writePlan(folder: string, plan: Plan): void {
  writeFileSync(join(folder, fileName), JSON.stringify(plan));
}

/** @throws Error when the file holds something else than {@link writePlan} wrote */
export function readPlan(folder: string): Plan {
  const value: unknown = JSON.parse(readFileSync(join(folder, fileName), "utf8"));
  if (isPlan(value)) return value;
  throw new Error(`expected a plan in ${folder}`);
}

/** It comes from the same program, so that it is a plan at all is enough. */
function isPlan(value: unknown): value is Plan {
  return typeof value === "object" && value !== null && "clients" in value && "queues" in value;
}
