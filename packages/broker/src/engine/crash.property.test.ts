import assert from "node:assert/strict";
import { test } from "node:test";

import { Prng } from "@everhold/base";
import { noCorrelation, packets } from "@everhold/wire";

import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import {
  messageOf,
  TestClient,
  textOf,
  type Delivery,
} from "../testing/test-client.test-support.ts";

/** Small segments, small caches and frequent snapshots, so that rolling and reading back happen. */
const journal = {
  segmentBytes: 64 * 1024,
  prepareAheadBytes: 4096,
  freeBytesMin: 0,
  tailCacheBytes: 16 * 1024,
  readCacheBytes: 16 * 1024,
  readAheadBytes: 4096,
  snapshotBytes: 100 * 1024,
};

/** What a client was promised and what it saw, over all lives of the broker. */
class Ledger {
  readonly sent = new Set<string>();
  readonly confirmed = new Set<string>();
  readonly settling = new Set<string>();
  readonly settled = new Set<string>();
  readonly delivered = new Set<string>();

  /** Checks one delivery against everything that was promised. */
  see(delivery: Delivery): void {
    const text = nameOf(delivery);
    assert.ok(this.sent.has(text), `${text} was never sent`);
    assert.ok(!this.settled.has(text), `${text} came after its settlement was confirmed`);
    const isMarked = delivery.deliveryCount > 1;
    assert.ok(isMarked || !this.delivered.has(text), `${text} came again without a mark`);
    this.delivered.add(text);
  }

  /** What must be in the queue, and what may be. */
  check(found: ReadonlySet<string>): void {
    for (const text of this.confirmed) {
      const mayBeGone = this.settled.has(text) || this.settling.has(text);
      assert.ok(found.has(text) || mayBeGone, `${text} was confirmed and is lost`);
    }
  }
}

/** A client that sends and acknowledges at random during one life of the broker. */
class RandomClient {
  readonly #client: TestClient;
  readonly #ledger: Ledger;
  readonly #prng: Prng;
  readonly #life: number;
  readonly #acknowledgements: string[][] = [];
  #unsettled: Delivery[] = [];
  #sends = 0;

  constructor(client: TestClient, ledger: Ledger, prng: Prng, life: number) {
    this.#client = client;
    this.#ledger = ledger;
    this.#prng = prng;
    this.#life = life;
  }

  async step(): Promise<void> {
    const { disk } = this.#client.world;
    if (this.#prng.chance(0.1)) disk.holdsWrites = true;
    if (this.#prng.chance(0.2)) disk.releaseWrites();
    if (this.#prng.chance(0.7)) this.#send();
    if (this.#prng.chance(0.7)) await this.#client.settle();
    this.take();
    if (this.#prng.chance(0.4)) this.#acknowledge();
  }

  /** Handles the frames that have arrived. */
  take(): void {
    for (const frame of this.#client.frames.splice(0)) {
      if (frame.name === "SESS_RECEIVE_MSG") {
        const delivery = this.#client.decodeDelivery(frame);
        this.#ledger.see(delivery);
        this.#unsettled.push(delivery);
        continue;
      }
      const { correlationId } = this.#client.decode(packets.nullResponse, frame);
      if (correlationId === noCorrelation) {
        for (const text of this.#acknowledgements.shift() ?? []) this.#ledger.settled.add(text);
      } else this.#ledger.confirmed.add(`${this.#life}.${correlationId}`);
    }
  }

  #send(): void {
    this.#sends += 1;
    const text = `${this.#life}.${this.#sends}`;
    this.#ledger.sent.add(text);
    const priority = this.#prng.chance(0.2) ? this.#prng.integer(0, 9) : 4;
    const padded = text.padEnd(this.#prng.integer(0, 2000));
    this.#client.post(messageOf("q", { text: padded, priority }), this.#sends);
  }

  #acknowledge(): void {
    const index = this.#prng.integer(0, this.#unsettled.length);
    const last = this.#unsettled[index];
    if (last === undefined) return;
    const covered = this.#unsettled.splice(0, index + 1).map(nameOf);
    for (const text of covered) this.#ledger.settling.add(text);
    this.#acknowledgements.push(covered);
    this.#client.acknowledge(last.messageId);
  }
}

function nameOf(delivery: Delivery): string {
  return textOf(delivery).trim();
}

for (let seed = 1; seed <= 12; seed += 1) {
  test(`nothing confirmed is lost and nothing settled comes again over crashes, seed ${seed}`, async () => {
    const prng = new Prng(seed);
    const ledger = new Ledger();
    const { world } = await startBroker({ journal });
    const first = await TestClient.open(world);
    await first.createQueue();
    for (let life = 0; life < 5; life += 1) {
      const client = await TestClient.open(world);
      await client.consume("q");
      const random = new RandomClient(client, ledger, prng, life);
      for (let step = prng.integer(5, 60); step > 0; step -= 1) await random.step();
      random.take();
      const broker = await crashAndRestart(world, { journal });
      broker.assertInvariants();
      const before = broker.fingerprint();
      const again = await crashAndRestart(world, { journal });
      assert.equal(again.fingerprint(), before, "recovered twice, the state is the same");
    }
    const reader = await TestClient.open(world);
    await reader.consume("q");
    const found = await reader.deliveries();
    for (const delivery of found) ledger.see(delivery);
    ledger.check(new Set(found.map(nameOf)));
  });
}
