import { setTimeout as pause } from "node:timers/promises";

import { EverholdError, type Prng } from "@everhold/base";
import type { Connection, Producer, Session } from "everhold";

import type { Plan, PlannedClient } from "./plan.ts";
import { bodyOf, type Recorder } from "./recorder.ts";

/** Nothing that is recorded rejects, unless this program is wrong. */
export function fail(error: unknown): never {
  throw error;
}

/** Sends of one producer that nobody has answered. */
const inFlightMax = 200;
const tickMs = 40;

/** What a part of a client works with. */
export interface ClientParts {
  readonly plan: Plan;
  readonly client: PlannedClient;
  /** Its index, and the number of its producer and its consumer. */
  readonly number: number;
  readonly connection: Connection;
  readonly recorder: Recorder;
  readonly random: Prng;
}

/** Sends at its share of the rate until `signal` is aborted, and settles when every promise has. */
export async function produce(parts: ClientParts, signal: AbortSignal): Promise<void> {
  const { plan, client } = parts;
  const eachTick = (plan.rate / plan.clients.length / 1_000) * tickMs;
  const pace = new Pace(eachTick);
  if (client.isTransacted) await produceTransacted(parts, pace, signal);
  else await producePlain(parts, pace, signal);
}

async function producePlain(parts: ClientParts, pace: Pace, signal: AbortSignal): Promise<void> {
  const { connection, recorder, client } = parts;
  const producer = connection.producer(addressOf(parts), { routing: routingOf(parts) });
  const under = new Set<Promise<unknown>>();
  for (let number = 1; !signal.aborted;) {
    for (let due = await pace.next(); due > 0 && under.size < inFlightMax; due -= 1) {
      const intent = { producer: parts.number, number, address: client.address, transaction: 0 };
      const body = nextBody(parts, number);
      const sending = recorder.send(intent, () => producer.send(body));
      under.add(sending);
      sending.then(() => under.delete(sending), fail);
      number += 1;
    }
  }
  await Promise.all(under);
  await producer.close();
}

async function produceTransacted(
  parts: ClientParts,
  pace: Pace,
  signal: AbortSignal,
): Promise<void> {
  const { connection, recorder, client, random } = parts;
  const session = await connection.session({ transacted: true });
  const producer: Producer = session.producer(addressOf(parts), { routing: routingOf(parts) });
  let number = 1;
  let due = 0;
  while (!signal.aborted) {
    due = Math.min(inFlightMax, due + (await pace.next()));
    if (due < 5) continue;
    const transaction = recorder.transaction();
    const sends: Promise<string>[] = [];
    for (const last = number + Math.min(due, random.integer(1, 40)); number < last; number += 1) {
      const intent = { producer: parts.number, number, address: client.address, transaction };
      const body = nextBody(parts, number);
      sends.push(recorder.send(intent, () => producer.send(body)));
      due -= 1;
    }
    // Half of them commit with sends on their way, as many a program does.
    const isPatient = random.chance(0.5);
    const isWhole = !isPatient || (await Promise.all(sends)).every((told) => told === "applied");
    if (isWhole && !random.chance(0.05)) {
      await recorder.end(transaction, "commit", () => commit(session));
    } else {
      await recorder.end(transaction, "rollback", () => session.rollback());
    }
    await Promise.all(sends);
  }
  await session.close();
}

/** What has not left in time is still there, and would go with the next transaction. */
export async function commit(session: Session): Promise<void> {
  try {
    await session.commit();
  } catch (error) {
    if (EverholdError.is(error, "EVH_TIMEOUT")) await session.rollback();
    throw error;
  }
}

/** Mostly small; one of 500 travels in parts. */
function nextBody({ number: producer, random }: ClientParts, number: number): string {
  const size = random.chance(0.002) ? 150_000 : random.integer(20, 400);
  return bodyOf(producer, number, size);
}

function addressOf({ plan, client }: ClientParts): string {
  return plan.addresses[client.address]?.name ?? "";
}

function routingOf({ plan, client }: ClientParts): "anycast" | "multicast" {
  return plan.addresses[client.address]?.routing ?? "anycast";
}

/** How many are due, tick by tick. What an outage held up is not made up for. */
class Pace {
  readonly #eachTick: number;
  #rest = 0;

  constructor(eachTick: number) {
    this.#eachTick = eachTick;
  }

  async next(): Promise<number> {
    await pause(tickMs);
    this.#rest += this.#eachTick;
    const due = Math.floor(this.#rest);
    this.#rest -= due;
    return due;
  }
}
