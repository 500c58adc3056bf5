import assert from "node:assert/strict";
import { test } from "node:test";

import { Prng } from "@everhold/base";
import { packets, settleActions } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import type { SomeSettings } from "../settings/setting-table.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import { TestClient, textOf, type Delivery } from "../testing/test-client.test-support.ts";

const attemptsMax = 4;
const messageCount = 12;

/** What a client asked for and was not answered yet. */
interface Asked {
  readonly text: string;
  readonly effect: "acknowledged" | "counted" | "moved" | "none";
}

/** Settles messages of `q` in every way there is, over crashes of the broker. */
class Settler {
  readonly #prng: Prng;
  /** Messages whose acknowledgement was answered, and those that may be acknowledged. */
  readonly acknowledged = new Set<string>();
  readonly maybeAcknowledged = new Set<string>();
  /** Failed attempts that were answered. A retry sets them back, a message that was moved has none. */
  readonly #attempts = new Map<string, number>();
  #asked: Asked[] = [];
  #held: Delivery[] = [];
  #client: TestClient | undefined;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  async connect(world: ManualWorld): Promise<void> {
    this.#asked = [];
    this.#held = [];
    this.#client = await TestClient.open(world);
    await this.#client.consume("q", { credits: this.#prng.chance(0.5) ? -1 : 1_000 });
  }

  async step(world: ManualWorld): Promise<void> {
    if (this.#prng.chance(0.15)) world.disk.holdsWrites = true;
    if (this.#prng.chance(0.3)) world.disk.releaseWrites();
    if (this.#prng.chance(0.4)) await world.pass(this.#prng.integer(1, 700));
    await this.take();
    this.#settleOne();
  }

  /** A retry begins the count of all dead letters anew. */
  forgetAttempts(): void {
    this.#attempts.clear();
  }

  async take(): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    await client.settle();
    for (const frame of client.frames.splice(0)) {
      if (frame.name === "SESS_RECEIVE_MSG") this.#see(client.decodeDelivery(frame));
      else {
        assert.equal(frame.name, "NULL_RESPONSE");
        this.#confirm();
      }
    }
  }

  #see(delivery: Delivery): void {
    const text = textOf(delivery);
    assert.ok(!this.acknowledged.has(text), `${text} came after its acknowledgement`);
    const least = (this.#attempts.get(text) ?? 0) + 1;
    assert.ok(delivery.deliveryCount >= least, `${text} came with too low a count`);
    assert.ok(delivery.deliveryCount <= attemptsMax, `${text} came too often`);
    this.#held.push(delivery);
  }

  #confirm(): void {
    const asked = this.#asked.shift();
    assert.ok(asked !== undefined, "an answer has its request");
    const { text, effect } = asked;
    if (effect === "acknowledged") this.acknowledged.add(text);
    if (effect === "counted") this.#attempts.set(text, (this.#attempts.get(text) ?? 0) + 1);
    if (effect === "moved") this.#attempts.delete(text);
  }

  #settleOne(): void {
    const index = this.#prng.integer(0, Math.max(0, this.#held.length - 1));
    const delivery = this.#held[index];
    const client = this.#client;
    if (delivery === undefined || client === undefined) return;
    const { messageId, consumerId } = delivery;
    const text = textOf(delivery);
    const choice = this.#prng.integer(0, 4);
    if (choice === 4) {
      const value = { consumerId, messageId, requiresResponse: true };
      client.send(packets.individualAcknowledge, 10, value);
      this.maybeAcknowledged.add(text);
    } else {
      const { release, reject, giveBack } = settleActions;
      const action = [release, release, reject, giveBack][choice] ?? release;
      const delayMs = this.#prng.chance(0.5) ? -1 : this.#prng.integer(0, 900);
      const value = { consumerId, messageId, action, delayMs, reason: "chance" };
      client.send(packets.settle, 10, { ...value, requiresResponse: true, correlationId: -1 });
    }
    const effects = ["counted", "counted", "moved", "none", "acknowledged"] as const;
    this.#asked.push({ text, effect: effects[choice] ?? "none" });
    if (choice === 3) this.#held.splice(index);
    else this.#held.splice(index, 1);
  }
}

/** How often each message lies in the queues of the broker. */
async function contents(world: ManualWorld, broker: Broker): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  // What waits for its time is not shown before.
  await world.pass(60_000);
  for (const { name } of broker.queues()) {
    const client = await TestClient.open(world);
    await client.consume(name, { browseOnly: true });
    for (const text of await client.texts()) found.set(text, (found.get(text) ?? 0) + 1);
    client.socket.close();
    await world.settle();
  }
  return found;
}

for (let seed = 1; seed <= 4; seed += 1) {
  test(`what is released, delayed, rejected and retried is in one place over crashes, seed ${seed}`, async () => {
    const prng = new Prng(seed);
    const settings: SomeSettings = {
      maxDeliveryAttempts: attemptsMax,
      redeliveryDelay: prng.chance(0.5) ? 0 : 300,
      redeliveryDelayMultiplier: 2,
      redeliveryCollisionAvoidanceFactor: 0.5,
      redeliveryMode: prng.chance(0.5) ? "blocking" : "nonBlocking",
      autoCreateDeadLetterResources: prng.chance(0.5),
    };
    const options = { addressSettings: { "#": settings } };
    const { world, broker: first } = await startBroker(options);
    let broker = first;
    const sender = await TestClient.open(world);
    await sender.createQueue();
    for (let number = 0; number < messageCount; number += 1) {
      await sender.publish("q", `m${number}`, { priority: prng.chance(0.2) ? 9 : 4 });
    }
    const settler = new Settler(prng);
    for (let life = 0; life < 4; life += 1) {
      await settler.connect(world);
      for (let step = prng.integer(5, 50); step > 0; step -= 1) {
        await settler.step(world);
        if (!prng.chance(0.05)) continue;
        settler.forgetAttempts();
        for (const { name } of broker.queues()) {
          if (name !== "q") broker.management.invoke(`queue.${name}`, "retryMessages", []);
        }
      }
      broker.assertInvariants();
      broker = await crashAndRestart(world, options);
      broker.assertInvariants();
    }
    const found = await contents(world, broker);
    for (let number = 0; number < messageCount; number += 1) {
      const text = `m${number}`;
      const count = found.get(text) ?? 0;
      if (settler.acknowledged.has(text)) assert.equal(count, 0, `${text} was acknowledged`);
      else if (settler.maybeAcknowledged.has(text)) assert.ok(count <= 1, `${text} is doubled`);
      else assert.equal(count, 1, `${text} is in one place`);
    }
  });
}
