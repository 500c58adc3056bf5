import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EverholdError } from "@everhold/base";
import type { MemberAddress, StateRead } from "@everhold/group";
import type { Links } from "@everhold/replica";
import { TestWorld } from "@everhold/test-world";
import { LinkRelay } from "./link-relay.ts";
import { MemberPlaces } from "./member-places.ts";
import { Replenisher } from "./replenisher.ts";

const damage = new EverholdError("EVH_DATA_CORRUPT", "found rot");

function address(id: string, incarnation: string): MemberAddress {
  return { replica: { id, incarnation }, replication: `${id}:61700`, clients: `${id}:61616` };
}

function stateOf(live: string | null): StateRead {
  const bert = { id: "bert", incarnation: "b1" };
  const state = {
    ...{ groupId: "00", epoch: 3, live: live === null ? null : { ...bert, id: live } },
    ...{ inSync: [bert], minInSync: 1, epochStart: 0, features: 1, unclean: false },
  };
  return { kind: "state", known: { created: "1", version: 1, state } };
}

/** A member whose journal does not open, and another one that is reached and has nothing that would help. */
class Bench {
  readonly world = new TestWorld();
  readonly places = new MemberPlaces();
  readonly #closing = new AbortController();
  /** When somebody was called. */
  readonly calledAtMs: number[] = [];
  /** Who leads, as the group's node says. */
  live: string | null = null;
  readonly #replenisher: Replenisher;
  readonly #ended: Promise<unknown>;

  constructor() {
    const { world, places } = this;
    const relay = new LinkRelay();
    let links = 0;
    const nothing = (): void => undefined;
    const follow = (id: string | null): void => {
      if (id === null) return;
      this.calledAtMs.push(world.nowMs);
      world.later(() => relay.onConnected((links += 1), id, true));
    };
    const fake: Links = {
      ...{ follow, send: nothing, disconnect: nothing },
      ...{ queuedBytes: () => 0, close: () => Promise.resolve() },
    };
    relay.attach(fake);
    places.learn([address("bert", "b1")]);
    this.#replenisher = new Replenisher({
      ...{ ports: world.ports, member: "anna", groupId: new Uint8Array(16), links: fake, relay },
      ...{ places, signal: this.#closing.signal },
      coordinator: { read: () => Promise.resolve(stateOf(this.live)) },
    });
    this.#ended = this.#replenisher
      .replace(damage, () => Promise.resolve(damage))
      .catch((error: unknown) => error);
  }

  /** Ends it, and says how. */
  async end(): Promise<unknown> {
    this.#closing.abort();
    this.#replenisher.close();
    return this.world.now(this.#ended);
  }
}

describe("a journal that nobody can mend", () => {
  it("is tried again later and later, for each attempt reads all of it", async () => {
    const bench = new Bench();
    await bench.world.advance(3_600_000);
    const pauses = bench.calledAtMs
      .slice(1)
      .map((ms, index) => ms - (bench.calledAtMs[index] ?? 0));
    assert.ok(pauses.length >= 120, `${pauses.length} attempts in an hour`);
    assert.ok(pauses.length < 1000, `${pauses.length} attempts in an hour`);
    assert.ok(Math.max(...pauses) <= 31_000);
    await bench.end();
  });

  it("is tried at once with somebody who has just come", async () => {
    const bench = new Bench();
    await bench.world.advance(3_600_000);
    const before = bench.calledAtMs.length;
    bench.places.learn([address("bert", "b1"), address("cleo", "c1")]);
    await bench.world.advance(500);
    assert.equal(bench.calledAtMs.length - before, 2);
    await bench.end();
  });

  it("is asked for of a live as soon as there is one", async () => {
    const bench = new Bench();
    await bench.world.advance(3_600_000);
    const before = bench.calledAtMs.length;
    bench.live = "bert";
    await bench.world.advance(500);
    assert.equal(bench.calledAtMs.length - before, 1);
    await bench.end();
  });

  it("is given up when the member is closed", async () => {
    const bench = new Bench();
    await bench.world.advance(60_000);
    assert.ok(EverholdError.is(await bench.end()));
    assert.equal(bench.world.timers.size, 0);
  });
});
