import assert from "node:assert/strict";
import { test } from "node:test";

import { Prng } from "@everhold/base";
import { packets, type TypedValue } from "@everhold/wire";

import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import {
  messageOf,
  TestClient,
  textOf,
  type Delivery,
} from "../testing/test-client.test-support.ts";

/** Small segments and frequent snapshots, so that recovery has both to go by. */
const journal = {
  segmentBytes: 64 * 1024,
  prepareAheadBytes: 4096,
  freeBytesMin: 0,
  tailCacheBytes: 16 * 1024,
  snapshotBytes: 40 * 1024,
};

const kinds = {
  values: { lastValue: true },
  shown: { lastValue: true, nonDestructive: true },
  ring: { ringSize: 4 },
  groups: {},
} as const;
type Kind = keyof typeof kinds;
const names = ["values", "shown", "ring", "groups"] as const satisfies readonly Kind[];
const letters = ["a", "b", "c"] as const;

/** What was sent to one queue, over all lives of the broker; a message is `letter number`. */
class Ledger {
  /** The highest number that was confirmed, by letter, and of all. */
  readonly confirmed = new Map<string, number>();
  newest = 0;
  /** Numbers that some consumer was handed. */
  readonly delivered = new Set<number>();
}

/** Sends, consumes, settles and gives back at random, during one life of the broker. */
class RandomLife {
  readonly ledgers: ReadonlyMap<Kind, Ledger>;
  readonly #client: TestClient;
  readonly #prng: Prng;
  readonly #numbers: { next: number };
  readonly #sends = new Map<number, { kind: Kind; letter: string }>();
  readonly #held: Delivery[] = [];
  /** Who got messages of which group. */
  readonly #owners = new Map<string, number>();
  readonly #lastOfGroup = new Map<string, number>();

  constructor(
    client: TestClient,
    prng: Prng,
    ledgers: ReadonlyMap<Kind, Ledger>,
    numbers: { next: number },
  ) {
    this.#client = client;
    this.#prng = prng;
    this.ledgers = ledgers;
    this.#numbers = numbers;
  }

  async step(): Promise<void> {
    const { disk } = this.#client.world;
    if (this.#prng.chance(0.1)) disk.holdsWrites = true;
    if (this.#prng.chance(0.2)) disk.releaseWrites();
    if (this.#prng.chance(0.8)) this.#send();
    if (this.#prng.chance(0.6)) await this.#client.settle();
    this.take();
    if (this.#prng.chance(0.3)) this.#acknowledge();
  }

  /** Handles the frames that have arrived. */
  take(): void {
    for (const frame of this.#client.frames.splice(0)) {
      if (frame.name === "SESS_RECEIVE_MSG") this.#see(this.#client.decodeDelivery(frame));
      else {
        const { correlationId } = this.#client.decode(packets.nullResponse, frame);
        const send = this.#sends.get(correlationId);
        const ledger = send && this.ledgers.get(send.kind);
        if (send === undefined || ledger === undefined) continue;
        ledger.confirmed.set(send.letter, correlationId);
        ledger.newest = correlationId;
      }
    }
  }

  #send(): void {
    const number = this.#numbers.next;
    this.#numbers.next += 1;
    const kind = this.#prng.pick(names);
    const letter = this.#prng.pick(letters);
    this.#sends.set(number, { kind, letter });
    const value: TypedValue = { type: "string", value: letter };
    const properties = { _AMQ_LVQ_NAME: value, _AMQ_GROUP_ID: value };
    // One priority for groups, whose order is looked at.
    const priority = kind === "groups" || this.#prng.chance(0.7) ? 4 : 8;
    const text = `${letter} ${number}`.padEnd(this.#prng.integer(0, 1_000));
    this.#client.post(messageOf(kind, { text, priority, properties }), number);
  }

  #see(delivery: Delivery): void {
    const { letter, number } = partsOf(delivery);
    this.#held.push(delivery);
    const kind = names[Math.floor(delivery.consumerId / 2)] ?? "values";
    this.ledgers.get(kind)?.delivered.add(number);
    if (kind !== "groups") return;
    const owner = this.#owners.get(letter);
    this.#owners.set(letter, delivery.consumerId);
    assert.ok(
      owner === undefined || owner === delivery.consumerId,
      `group ${letter} has one owner`,
    );
    assert.ok(number > (this.#lastOfGroup.get(letter) ?? 0), `group ${letter} keeps its order`);
    this.#lastOfGroup.set(letter, number);
  }

  #acknowledge(): void {
    const delivery = this.#held.splice(this.#prng.integer(0, this.#held.length), 1)[0];
    if (delivery === undefined) return;
    const { messageId, consumerId } = delivery;
    const requiresResponse = false;
    this.#client.send(packets.individualAcknowledge, 10, {
      consumerId,
      messageId,
      requiresResponse,
    });
  }
}

function partsOf(delivery: Delivery): { letter: string; number: number } {
  const [letter = "", number = ""] = textOf(delivery).trim().split(" ");
  return { letter, number: Number(number) };
}

/** What a queue holds, by its browser. */
async function browse(
  world: ManualWorld,
  kind: Kind,
): Promise<{ letter: string; number: number }[]> {
  const client = await TestClient.open(world);
  await client.consume(kind, { browseOnly: true });
  const found = (await client.deliveries()).map(partsOf);
  client.socket.close();
  await client.settle();
  return found;
}

async function check(world: ManualWorld, ledgers: ReadonlyMap<Kind, Ledger>): Promise<void> {
  for (const [kind, ledger] of ledgers) {
    const found = await browse(world, kind);
    if (kind === "ring") {
      assert.ok(found.length <= 4, `the ring holds ${found.length} messages`);
      const isThere = found.some(({ number }) => number >= ledger.newest);
      // One of a higher priority may have been the oldest of its lane, and gone.
      const isFull = found.length === 4;
      assert.ok(isThere || isFull || ledger.delivered.has(ledger.newest), "the newest is kept");
      continue;
    }
    if (kind === "groups") continue;
    const seen = new Set(found.map(({ letter }) => letter));
    assert.equal(seen.size, found.length, `${kind} holds each value once`);
    for (const [letter, number] of ledger.confirmed) {
      const left = found.find((one) => one.letter === letter)?.number ?? 0;
      const mayBeGone = kind === "values" && ledger.delivered.has(number);
      assert.ok(left >= number || mayBeGone, `${kind} lost the value ${letter} ${number}`);
    }
  }
}

for (let seed = 1; seed <= 10; seed += 1) {
  test(`queues of every kind keep their rules over crashes, seed ${seed}`, async () => {
    const prng = new Prng(seed);
    const ledgers = new Map<Kind, Ledger>(names.map((kind) => [kind, new Ledger()]));
    const numbers = { next: 1 };
    const { world } = await startBroker({ journal });
    const first = await TestClient.open(world);
    for (const kind of names) await first.createQueue({ address: kind, ...kinds[kind] });
    for (let life = 0; life < 4; life += 1) {
      const client = await TestClient.open(world);
      for (const [index, kind] of names.entries()) {
        for (const consumerId of [index * 2, index * 2 + 1]) {
          if (prng.chance(0.3)) continue;
          client.send(packets.createConsumer, 10, {
            consumerId,
            queueName: kind,
            filter: null,
            browseOnly: false,
            requiresResponse: false,
            priority: 0,
          });
          client.send(packets.flowToken, 10, { consumerId, credits: prng.integer(1, 30_000) });
        }
      }
      client.send(packets.sessionStart, 10, {});
      const random = new RandomLife(client, prng, ledgers, numbers);
      for (let step = prng.integer(20, 150); step > 0; step -= 1) await random.step();
      random.take();
      const broker = await crashAndRestart(world, { journal });
      broker.assertInvariants();
      await check(world, ledgers);
    }
  });
}
