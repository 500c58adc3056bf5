import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertError, rejection, TestWorld } from "@everhold/test-world";
import { begin, forever, requestOf, setUp } from "../testing/setup.test-support.ts";
import { RequestQueue } from "./request-queue.ts";

describe("requests that wait", () => {
  it("leave in the order of calls, those that came meanwhile behind", async () => {
    const { world, ensemble, session } = await begin();
    const calls = ["/1", "/2", "/3"].map((path) => session.request(requestOf(path), forever));
    await world.now(Promise.all(calls));
    assert.deepEqual(
      ensemble.received.map(({ path }) => path),
      ["/1", "/2", "/3"],
    );
  });

  it("are refused where there are too many, and the place of one who goes is free", async () => {
    const world = new TestWorld();
    const { ports } = world;
    const bounds = { unsentCountMax: 2, unsentBytesMax: 1000 };
    const queue = new RequestQueue({ ports, unsentCause: () => undefined, ...bounds });
    const { signal } = new AbortController();
    const ending = new AbortController();
    const calls = [signal, ending.signal].map((one) =>
      queue.request(requestOf(), { deadlineMs: Infinity, signal: one }),
    );
    assertError(await rejection(world, queue.request(requestOf(), forever)), "EVH_OVERLOADED");
    ending.abort();
    assertError(await rejection(world, calls[1] ?? Promise.resolve()), "EVH_ABORTED");
    assert.equal(await world.isPending(queue.request(requestOf(), forever)), true);
  });

  it("are refused where they hold too much, and what leaves makes room", async () => {
    const world = new TestWorld();
    const bounds = { unsentCountMax: 100, unsentBytesMax: 1000 };
    const { ports } = world;
    const queue = new RequestQueue({ ports, unsentCause: () => undefined, ...bounds });
    const large = { ...requestOf(), heldBytes: 900 };
    const ending = new AbortController();
    const { signal } = ending;
    const first = queue.request({ ...large, heldBytes: 5000 }, { deadlineMs: Infinity, signal });
    assertError(await rejection(world, queue.request(large, forever)), "EVH_OVERLOADED");
    ending.abort();
    assertError(await rejection(world, first), "EVH_ABORTED");
    assert.equal(await world.isPending(queue.request(large, forever)), true);
    assertError(await rejection(world, queue.request(large, forever)), "EVH_OVERLOADED");
  });

  it("end with the caller's signal, before and while they wait", async () => {
    const { world, ensemble, session } = await begin({
      prepare: (prepared) => prepared.servers.forEach((server) => server.kill()),
    });
    const ending = new AbortController();
    const { signal } = ending;
    const waiting = session.request(requestOf("/waiting"), { deadlineMs: Infinity, signal });
    ending.abort();
    assertError(await rejection(world, waiting), "EVH_ABORTED");
    const late = session.request(requestOf("/late"), { deadlineMs: Infinity, signal });
    assertError(await rejection(world, late), "EVH_ABORTED");
    for (const server of ensemble.servers) server.start();
    await world.advance(10_000);
    assert.equal(session.state, "connected");
    assert.deepEqual(ensemble.received, []);
  });

  it("bound to a session end with it, the others go on in the next", async () => {
    const { world, ensemble, session } = await setUp();
    for (const server of ensemble.servers) server.kill();
    await world.settle();
    const bound = session.request(requestOf("/bound"), { deadlineMs: Infinity, epoch: 1 });
    bound.catch(() => undefined);
    const free = session.request(requestOf("/free"), forever);
    ensemble.sessions.clear();
    for (const server of ensemble.servers) server.start();
    await world.advance(5000);
    assertError(await rejection(world, bound), "EVH_SESSION_EXPIRED");
    assert.equal(await world.now(free), 0);
    assert.deepEqual(
      ensemble.received.map(({ path }) => path),
      ["/free"],
    );
  });
});
