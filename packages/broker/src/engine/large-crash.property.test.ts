import assert from "node:assert/strict";
import { test } from "node:test";

import { Prng } from "@everhold/base";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import {
  beginLarge,
  largeBytes,
  sendPart,
  takeLarge,
} from "../testing/large-client.test-support.ts";
import { TestClient } from "../testing/test-client.test-support.ts";

/** Small segments, small caches and frequent snapshots, so that bodies span them and are read back. */
const journal = {
  segmentBytes: 256 * 1024,
  prepareAheadBytes: 4096,
  freeBytesMin: 0,
  tailCacheBytes: 64 * 1024,
  readCacheBytes: 64 * 1024,
  readAheadBytes: 16 * 1024,
  snapshotBytes: 300 * 1024,
};

/** One message that a session is sending, and how much of it has left. */
interface Upload {
  readonly seed: number;
  readonly durable: boolean;
  readonly body: Uint8Array;
  sentBytes: number;
}

/** What was sent, by its seed, and what of it must be there at the end. */
interface Ledgers {
  readonly sent: Map<number, Uint8Array>;
  readonly kept: Set<number>;
}

/** Two sessions of one client that send large messages, a part here and a part there. */
class RandomUploads {
  readonly #client: TestClient;
  readonly #prng: Prng;
  readonly #ledgers: Ledgers;
  readonly #uploads = new Map<number, Upload>();
  readonly #awaited = new Map<number, Upload[]>([
    [10, []],
    [11, []],
  ]);

  constructor(client: TestClient, prng: Prng, ledgers: Ledgers) {
    this.#client = client;
    this.#prng = prng;
    this.#ledgers = ledgers;
  }

  async step(): Promise<void> {
    const { disk } = this.#client.world;
    if (this.#prng.chance(0.1)) disk.holdsWrites = true;
    if (this.#prng.chance(0.3)) disk.releaseWrites();
    this.#send(this.#prng.chance(0.5) ? 10 : 11);
    if (this.#prng.chance(0.6)) await this.#client.settle();
    this.take();
  }

  /** Notes what was confirmed, each session in its order. */
  take(): void {
    for (const frame of this.#client.frames.splice(0)) {
      assert.equal(frame.name, "NULL_RESPONSE");
      const upload = this.#awaited.get(frame.channelId)?.shift();
      assert.ok(upload !== undefined, "what is answered was sent");
      if (upload.durable) this.#ledgers.kept.add(upload.seed);
    }
  }

  #send(channelId: number): void {
    let upload = this.#uploads.get(channelId);
    if (upload === undefined || this.#prng.chance(0.05)) {
      const seed = this.#ledgers.sent.size + 1;
      const durable = this.#prng.chance(0.9);
      const body = largeBytes(this.#prng.integer(1, 250_000), seed);
      upload = { seed, durable, body, sentBytes: 0 };
      this.#ledgers.sent.set(seed, body);
      this.#uploads.set(channelId, upload);
      const properties = { seed: { type: "int", value: seed } } as const;
      beginLarge(this.#client, { durable, properties }, channelId);
    }
    const end = Math.min(upload.body.length, upload.sentBytes + this.#prng.integer(1, 100_000));
    const part = upload.body.subarray(upload.sentBytes, end);
    upload.sentBytes = end;
    const isLast = end === upload.body.length;
    sendPart(this.#client, part, isLast ? end : undefined, channelId);
    if (!isLast) return;
    this.#uploads.delete(channelId);
    this.#awaited.get(channelId)?.push(upload);
  }
}

for (let seed = 1; seed <= 8; seed += 1) {
  test(`large messages are whole or not there over crashes, seed ${seed}`, async () => {
    const prng = new Prng(seed);
    const ledgers: Ledgers = { sent: new Map(), kept: new Set() };
    const { world } = await startBroker({ journal });
    const first = await TestClient.open(world);
    await first.createQueue();
    for (let life = 0; life < 4; life += 1) {
      const client = await TestClient.open(world);
      await client.createSession({ name: "other", sessionChannelId: 11 });
      client.frames.length = 0;
      const uploads = new RandomUploads(client, prng, ledgers);
      for (let step = prng.integer(5, 40); step > 0; step -= 1) await uploads.step();
      uploads.take();
      const broker = await crashAndRestart(world, { journal });
      broker.assertInvariants();
      const before = broker.fingerprint();
      const again = await crashAndRestart(world, { journal });
      assert.equal(again.fingerprint(), before, "recovered twice, the state is the same");
    }
    await checkAll(await TestClient.open(world), ledgers);
  });
}

/** Takes all that is there: each message as it was sent, and of the confirmed durable ones none is missing. */
async function checkAll(client: TestClient, { sent, kept }: Ledgers): Promise<void> {
  await client.consume("q");
  const found = new Set<number>();
  while (client.frames.length > 0) {
    const isLarge = client.frames[0]?.name === "SESS_RECEIVE_LARGE_MSG";
    const { properties, body } = isLarge ? await takeLarge(client) : await client.delivery();
    const seed = Number(properties.get("seed")?.value);
    assert.ok(!found.has(seed), `message ${seed} comes once`);
    found.add(seed);
    const expected = sent.get(seed);
    assert.ok(expected !== undefined && Buffer.from(body).equals(expected), `message ${seed}`);
  }
  assert.ok(kept.size > 0, "something was confirmed");
  for (const seed of kept) assert.ok(found.has(seed), `message ${seed} was confirmed and is lost`);
}
