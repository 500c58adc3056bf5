import assert from "node:assert/strict";
import { test } from "node:test";

import { Prng } from "@everhold/base";
import { commitAnswers, packets } from "@everhold/wire";

import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { resume } from "../testing/resuming-client.test-support.ts";
import { crashAndRestart, runUntil, startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient } from "../testing/test-client.test-support.ts";

const transacted = { autoCommitSends: false, autoCommitAcks: false } as const;
const producerId = new Uint8Array(16).fill(2);
const large = new Uint8Array(120_000);

/** A client that commits under numbers, and asks after each break what became of the last one. */
class Committer {
  readonly committed: string[] = [];
  readonly #world: ManualWorld;
  readonly #prng: Prng;
  #client: TestClient | undefined;
  /** The session before, as far as the broker knows still connected: it may say late what it meant to. */
  #old: TestClient | undefined;
  #number = 0;
  #texts: string[] = [];
  #isAsked = false;

  constructor(world: ManualWorld, prng: Prng) {
    this.#world = world;
    this.#prng = prng;
  }

  /** Sends some messages, and commits them, or means to. */
  async transact(): Promise<void> {
    const client = this.#client;
    if (client === undefined || this.#isAsked) return;
    this.#number += 1;
    this.#texts = [];
    const isLarge = this.#prng.chance(0.05);
    const messages = isLarge ? 80 : this.#prng.integer(0, 3);
    for (let index = 0; index < messages; index += 1) {
      const text = `${this.#number}.${index}`;
      this.#texts.push(text);
      const properties = { text: { type: "string", value: text } } as const;
      const body = isLarge ? { body: large } : {};
      client.post(messageOf("q", { text, properties, ...body }), 0, false);
      if (isLarge) await client.settle();
    }
    // What a transaction cannot do has it rolled back.
    if (this.#prng.chance(0.15)) client.acknowledge(1, 99, false);
    this.#isAsked = true;
    if (this.#prng.chance(0.8)) this.#sendCommit(client);
    if (this.#prng.chance(0.8)) await this.take();
  }

  /** Takes the answer, if it has come. */
  async take(): Promise<void> {
    if (this.#client === undefined) return;
    for (const name of await this.#client.names()) {
      assert.ok(this.#isAsked, `${name} answers something`);
      this.#end(name === "NULL_RESPONSE");
    }
  }

  lose(isDead: boolean): void {
    this.#old = isDead ? undefined : this.#client;
    this.#client = undefined;
  }

  async comeBack(): Promise<void> {
    if (this.#client !== undefined) return;
    const client = await TestClient.openMarking(this.#world, { name: "session", ...transacted });
    const number = this.#number;
    const commit = this.#isAsked ? { producerId, epoch: 1, number } : null;
    const isLast = this.#prng.chance(0.5);
    const answer = await resume(client, { oldSession: "session", isLast, commit });
    if (commit !== null) {
      assert.notEqual(answer.commit, commitAnswers.unknown);
      this.#end(answer.commit === commitAnswers.applied);
      // It was on its way all the time.
      if (this.#old !== undefined) this.#sendCommit(this.#old);
    }
    if (!isLast) await resume(client, { oldSession: "session" });
    this.#client = client;
  }

  #sendCommit(client: TestClient): void {
    const number = this.#number;
    client.send(packets.commitAs, 10, { correlationId: number, producerId, epoch: 1, number });
  }

  #end(isApplied: boolean): void {
    if (isApplied) this.committed.push(...this.#texts);
    this.#isAsked = false;
  }
}

for (let seed = 1; seed <= 6; seed += 1) {
  test(`each numbered commit is applied as it is told, or not at all, seed ${seed}`, async () => {
    const prng = new Prng(seed);
    const { world } = await startBroker();
    await (await TestClient.open(world)).createQueue();
    const committer = new Committer(world, prng);
    for (let round = 0; round < 15; round += 1) {
      await committer.comeBack();
      for (let step = prng.integer(1, 8); step > 0; step -= 1) {
        world.disk.holdsWrites = prng.chance(0.3);
        if (!world.disk.holdsWrites) world.disk.releaseWrites();
        await committer.transact();
      }
      const isCrash = prng.chance(0.5);
      if (isCrash) {
        const broker = await crashAndRestart(world);
        broker.assertInvariants();
        if (prng.chance(0.3)) await runUntil(world, broker.snapshotNow());
      }
      world.disk.holdsWrites = false;
      world.disk.releaseWrites();
      committer.lose(isCrash);
    }
    await committer.comeBack();
    const reader = await TestClient.open(world);
    await reader.consume("q");
    const texts = (await reader.deliveries()).map(
      ({ properties }) => properties.get("text")?.value,
    );
    assert.deepEqual(texts, committer.committed);
    assert.ok(texts.length > 5);
  });
}
