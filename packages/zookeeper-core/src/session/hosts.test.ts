import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TestWorld } from "@everhold/test-world";
import { Hosts } from "./hosts.ts";

const servers = ["a", "b", "c", "d"].map((host) => ({ host, port: 2181 }));
const { signal } = new AbortController();

async function round(hosts: Hosts, world: TestWorld): Promise<string[]> {
  const names: string[] = [];
  for (let count = 0; count < hosts.count; count += 1) {
    names.push((await world.now(hosts.next(signal))).host);
  }
  return names;
}

describe("the order of servers", () => {
  it("is each client's own", async () => {
    const orders = new Set<string>();
    for (let seed = 1; seed <= 30; seed += 1) {
      const world = new TestWorld(seed);
      const names = await round(new Hosts(servers, world.ports), world);
      assert.deepEqual(names.toSorted(), ["a", "b", "c", "d"]);
      orders.add(names.join(""));
    }
    assert.ok(orders.size > 10);
  });

  it("stays the same in every round, with a pause between", async () => {
    const world = new TestWorld();
    const hosts = new Hosts(servers, world.ports);
    const first = await round(hosts, world);
    const next = hosts.next(signal);
    assert.equal(await world.isPending(next), true);
    await world.advance(1500);
    assert.equal((await world.now(next)).host, first[0]);
  });

  it("goes on where a connection broke that had lasted, without a pause", async () => {
    const world = new TestWorld();
    const hosts = new Hosts(servers, world.ports);
    const order = await round(hosts, world);
    hosts.connectionLasted(1000);
    assert.deepEqual(await round(hosts, world), order);
    hosts.connectionLasted(999);
    const next = hosts.next(signal);
    assert.equal(await world.isPending(next), true);
  });

  it("a pause ends with the client", async () => {
    const world = new TestWorld();
    const hosts = new Hosts(servers, world.ports);
    await round(hosts, world);
    const ending = new AbortController();
    const next = hosts.next(ending.signal);
    assert.equal(await world.isPending(next), true);
    ending.abort();
    await world.now(next);
    assert.equal(world.timers.size, 0);
  });

  it("a pause ends when there are other servers", async () => {
    const world = new TestWorld();
    const hosts = new Hosts(servers, world.ports);
    await round(hosts, world);
    const next = hosts.next(signal);
    assert.equal(await world.isPending(next), true);
    hosts.replace([{ host: "e", port: 2181 }]);
    assert.equal((await world.now(next)).host, "e");
    assert.equal(world.timers.size, 0);
  });
});
