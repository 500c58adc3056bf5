import assert from "node:assert/strict";
import { test } from "node:test";

import { Prng } from "@everhold/base";
import { packets, resumeKinds, resumeResults } from "@everhold/wire";

import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { resume, sendResume, type ResumeChoices } from "../testing/resuming-client.test-support.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import {
  messageOf,
  TestClient,
  textOf,
  type Delivery,
} from "../testing/test-client.test-support.ts";

/** What all applications together have seen and settled. */
class Ledger {
  readonly confirmed = new Set<string>();
  readonly settled = new Set<string>();
  readonly #seen = new Set<string>();
  /** In the hands of an application whose connection the broker saw break: others may get it, marked. */
  readonly loose = new Set<string>();

  /** Those of them that others got. */
  readonly #taken = new Set<string>();

  /** Whether somebody else may have a message that an application had in its hands. */
  mayBeElsewhere(text: string): boolean {
    return this.loose.has(text) || this.#taken.has(text) || this.settled.has(text);
  }

  /** An application gets a message: once, unless the broker had to give it to somebody else meanwhile. */
  see(delivery: Delivery): void {
    const text = textOf(delivery);
    assert.ok(!this.settled.has(text), `${text} came after its settlement was confirmed`);
    const isRepeat = this.#seen.has(text);
    assert.ok(!isRepeat || this.loose.has(text), `${text} was handed out twice`);
    assert.ok(!isRepeat || delivery.deliveryCount > 1, `${text} came again without a mark`);
    this.#seen.add(text);
    if (isRepeat) this.#taken.add(text);
    this.loose.delete(text);
  }
}

interface InHand {
  readonly messageId: number;
  readonly text: string;
  isAcknowledged: boolean;
}

/** An application with one consumer, whose client comes back whatever happens. */
class Application {
  readonly #world: ManualWorld;
  readonly #ledger: Ledger;
  readonly #prng: Prng;
  readonly #name: string;
  #client: TestClient | undefined;
  #buffer: Delivery[] = [];
  #hands: InHand[] = [];
  /** Ids whose acknowledgements wait for their answers, in order. */
  readonly #asked: number[] = [];

  constructor(world: ManualWorld, ledger: Ledger, prng: Prng, name: string) {
    this.#world = world;
    this.#ledger = ledger;
    this.#prng = prng;
    this.#name = name;
  }

  get handCount(): number {
    return this.#hands.length;
  }

  /** Takes what has arrived: answers, and messages into the client's buffer. */
  async take(): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    await client.settle();
    for (const frame of client.frames.splice(0)) {
      if (frame.name === "SESS_RECEIVE_MSG") this.#buffer.push(client.decodeDelivery(frame));
      else {
        client.decode(packets.nullResponse, frame);
        this.#settled(this.#asked.shift() ?? -1);
      }
    }
  }

  /** The application looks at some of what is in the buffer. */
  see(countMax: number): void {
    for (const delivery of this.#buffer.splice(0, countMax)) {
      this.#ledger.see(delivery);
      const { messageId } = delivery;
      this.#hands.push({ messageId, text: textOf(delivery), isAcknowledged: false });
    }
  }

  acknowledge(): void {
    const open = this.#hands.filter((one) => !one.isAcknowledged);
    const one = open[this.#prng.integer(0, Math.max(0, open.length - 1))];
    if (one === undefined || this.#client === undefined) return;
    one.isAcknowledged = true;
    this.#asked.push(one.messageId);
    const { messageId } = one;
    const value = { consumerId: 0, messageId, requiresResponse: true };
    this.#client.send(packets.individualAcknowledge, 10, value);
  }

  /** The connection breaks. The broker may notice, and then gives others what the session held. */
  lose(isNoticed: boolean): void {
    if (isNoticed && this.#client !== undefined) {
      this.#client.socket.close();
      for (const { text } of this.#hands) this.#ledger.loose.add(text);
    }
    this.#client = undefined;
    this.#buffer = [];
    this.#asked.length = 0;
  }

  /** Comes back on a connection of its own, and goes on. */
  async comeBack(): Promise<void> {
    if (this.#client !== undefined) return;
    const client = await this.#open();
    const asked = [...this.#hands];
    const { settlements } = await resume(client, this.#resumption());
    asked.forEach((one, index) => {
      const result = settlements[index];
      if (result === resumeResults.held) this.#ledger.loose.delete(one.text);
      else if (one.isAcknowledged && result !== resumeResults.elsewhere) {
        this.#settled(one.messageId);
      } else {
        // Somebody else has it, or had it and is through with it.
        assert.ok(this.#ledger.mayBeElsewhere(one.text), `${one.text} was lost: ${result}`);
        this.#hands = this.#hands.filter((other) => other !== one);
      }
    });
    await client.consume("q");
    this.#client = client;
  }

  /** Tries to come back to a broker that dies before it has answered. */
  async comeBackInVain(): Promise<void> {
    if (this.#client !== undefined) return;
    const client = await this.#open();
    sendResume(client, this.#resumption());
    await client.settle();
  }

  async #open(): Promise<TestClient> {
    return TestClient.openMarking(this.#world, { name: this.#name });
  }

  #resumption(): ResumeChoices {
    const settlements = this.#hands.map(({ messageId, isAcknowledged }) => ({
      messageId,
      kind: isAcknowledged ? resumeKinds.acknowledge : resumeKinds.hold,
    }));
    return { oldSession: this.#name, settlements };
  }

  #settled(messageId: number): void {
    const one = this.#hands.find((other) => other.messageId === messageId);
    assert.ok(one !== undefined, "what is settled was in hand");
    this.#ledger.settled.add(one.text);
    this.#hands = this.#hands.filter((other) => other !== one);
  }
}

/** What happens between two breaks. */
async function work(
  applications: readonly Application[],
  publisher: TestClient,
  ledger: Ledger,
  prng: Prng,
  numbers: { next: number },
): Promise<void> {
  const { disk } = publisher.world;
  for (let step = prng.integer(3, 20); step > 0; step -= 1) {
    const text = `m${numbers.next}`;
    numbers.next += 1;
    disk.holdsWrites = prng.chance(0.2);
    if (!disk.holdsWrites) disk.releaseWrites();
    publisher.post(messageOf("q", { text }), numbers.next);
    await publisher.settle();
    if ((await publisher.names()).length > 0 && !disk.holdsWrites) ledger.confirmed.add(text);
    for (const one of applications) {
      if (prng.chance(0.8)) await one.take();
      one.see(prng.integer(0, 4));
      if (prng.chance(0.6)) one.acknowledge();
    }
  }
}

for (let seed = 1; seed <= 15; seed += 1) {
  test(`no application gets twice what it has, over breaks and crashes, seed ${seed}`, async () => {
    const prng = new Prng(seed);
    const ledger = new Ledger();
    const numbers = { next: 0 };
    const { world } = await startBroker();
    await (await TestClient.open(world)).createQueue();
    const applications = ["ann", "bob"].map((name) => new Application(world, ledger, prng, name));
    let publisher = await TestClient.open(world);
    for (let round = 0; round < 12; round += 1) {
      world.disk.holdsWrites = false;
      world.disk.releaseWrites();
      const order = prng.chance(0.5) ? applications : applications.toReversed();
      for (const one of order) await one.comeBack();
      await work(applications, publisher, ledger, prng, numbers);
      if (prng.chance(0.5)) {
        applications[prng.integer(0, 1)]?.lose(prng.chance(0.4));
        continue;
      }
      for (let crashes = prng.integer(1, 2); crashes > 0; crashes -= 1) {
        const broker = await crashAndRestart(world);
        broker.assertInvariants();
        for (const one of applications) one.lose(false);
        publisher = await TestClient.open(world);
        if (crashes === 1) break;
        world.disk.holdsWrites = prng.chance(0.5);
        await applications[prng.integer(0, 1)]?.comeBackInVain();
      }
    }
    world.disk.holdsWrites = false;
    world.disk.releaseWrites();
    for (const one of applications) await one.comeBack();
    for (let idle = 0; idle < 400; idle += 1) {
      for (const one of applications) {
        await one.take();
        one.see(100);
        one.acknowledge();
      }
    }
    assert.ok(applications.every((one) => one.handCount === 0));
    for (const text of ledger.confirmed) assert.ok(ledger.settled.has(text), `${text} is lost`);
    assert.ok(ledger.confirmed.size > 20);
  });
}
