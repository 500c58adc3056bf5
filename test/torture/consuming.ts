import type { Consumer, Message, Producer, Session } from "everhold";

import { commit, fail, type ClientParts } from "./producing.ts";
import { relayProducer } from "./plan.ts";
import { bodyOf } from "./recorder.ts";

/** Settlements of one consumer that nobody has answered. */
const inFlightMax = 200;
const receiveMs = 200;

/** Consumes until `signal` is aborted, and settles when every promise has. */
export async function consume(parts: ClientParts, signal: AbortSignal): Promise<void> {
  switch (parts.client.manner) {
    case "receive":
      return receiveAll(parts, signal);
    case "handler":
      return handleAll(parts, signal);
    case "transacted":
    case "relay":
      return transactAll(parts, signal);
  }
}

async function receiveAll(parts: ClientParts, signal: AbortSignal): Promise<void> {
  const { recorder, random } = parts;
  const consumer = parts.connection.consumer(queueOf(parts));
  await consumer.ready();
  const under = new Set<Promise<unknown>>();
  while (!signal.aborted) {
    const message = await consumer.receive({ timeout: receiveMs });
    if (message === null) continue;
    const delivery = recorder.delivery(message, placeOf(parts, 0));
    const kind = random.chance(0.005) ? "release" : "ack";
    const settling = recorder.settle(delivery, kind, () =>
      kind === "ack" ? message.ack() : message.release(),
    );
    under.add(settling);
    settling.then(() => under.delete(settling), fail);
    if (under.size >= inFlightMax) await Promise.race(under);
  }
  await Promise.all(under);
  await consumer.close();
}

async function handleAll(parts: ClientParts, signal: AbortSignal): Promise<void> {
  const { recorder } = parts;
  const consumer = parts.connection.consumer(queueOf(parts));
  const handle = async (message: Message): Promise<void> => {
    const delivery = recorder.delivery(message, placeOf(parts, 0));
    await recorder.settle(delivery, "ack", () => message.ack());
  };
  await consumer.run(handle, { concurrency: 50, signal });
  await consumer.close();
}

async function transactAll(parts: ClientParts, signal: AbortSignal): Promise<void> {
  const { connection, recorder, random } = parts;
  const session = await connection.session({ transacted: true });
  const consumer = session.consumer(queueOf(parts));
  await consumer.ready();
  const relay = parts.client.manner === "relay" ? new Relay(parts, session) : undefined;
  while (!signal.aborted) {
    const messages = await receiveSome(consumer, random.integer(1, 40));
    if (messages.length === 0) continue;
    const transaction = recorder.transaction();
    const work = messages.flatMap((message) => {
      const delivery = recorder.delivery(message, placeOf(parts, transaction));
      const settling = recorder.settle(delivery, "ack", () => message.ack());
      return relay === undefined ? [settling] : [settling, relay.pass(transaction)];
    });
    const isWhole = (await Promise.all(work)).every((told) => told === "applied");
    if (isWhole && !random.chance(0.03)) {
      await recorder.end(transaction, "commit", () => commit(session));
    } else {
      await recorder.end(transaction, "rollback", () => session.rollback());
    }
  }
  await session.close();
}

/** The second half of consume, process, produce. */
class Relay {
  readonly #parts: ClientParts;
  readonly #producer: Producer;
  #number = 1;

  constructor(parts: ClientParts, session: Session) {
    this.#parts = parts;
    this.#producer = session.producer(parts.plan.addresses[parts.client.output]?.name ?? "");
  }

  pass(transaction: number): Promise<string> {
    const { plan, number: client, client: planned, recorder } = this.#parts;
    const producer = relayProducer(plan, client);
    const number = this.#number;
    this.#number += 1;
    const intent = { producer, number, address: planned.output, transaction };
    return recorder.send(intent, () => this.#producer.send(bodyOf(producer, number, 100)));
  }
}

/** The next message, and what comes at once after it. */
async function receiveSome(consumer: Consumer, countMax: number): Promise<Message[]> {
  const messages: Message[] = [];
  while (messages.length < countMax) {
    const timeout = messages.length === 0 ? receiveMs : 5;
    const message = await consumer.receive({ timeout });
    if (message === null) break;
    messages.push(message);
  }
  return messages;
}

function queueOf({ plan, client }: ClientParts): string {
  return plan.queues[client.queue]?.name ?? "";
}

function placeOf(
  { client, number }: ClientParts,
  transaction: number,
): { readonly queue: number; readonly consumer: number; readonly transaction: number } {
  return { queue: client.queue, consumer: number, transaction };
}
