import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionError } from "@everhold/base";
import type { Endpoint, Link, LinkHandler } from "@everhold/env";
import { assertError, assertNothingRuns, errorOf, rejection } from "./checks.ts";
import { TestWorld } from "./test-world.ts";

const server: Endpoint = { host: "a", port: 1 };

test("timers run in the order of their times, as far as time has come", async () => {
  const world = new TestWorld();
  const told: string[] = [];
  const at = (delayMs: number) =>
    world.ports.timers.after(delayMs, () => void told.push(`${delayMs}: ${world.nowMs}`));
  at(30);
  at(20);
  at(10).cancel();
  at(40);
  await world.advance(35);
  assert.deepEqual(told, ["20: 20", "30: 30"]);
  assert.equal(world.nowMs, 35);
});

test("a turn ends when nothing else can happen", async () => {
  const world = new TestWorld();
  const told: string[] = [];
  world.ports.timers.atTurnEnd(() => void told.push("turn end"));
  world.later(() => {
    told.push("step");
    world.later(() => void told.push("step of a step"));
  });
  await world.settle();
  assert.deepEqual(told, ["step", "step of a step", "turn end"]);
});

test("a promise that needs time has no value now", async () => {
  const world = new TestWorld();
  const promise = new Promise<string>((resolve) => {
    world.ports.timers.after(1, () => resolve("done"));
  });
  assert.equal(await world.isPending(promise), true);
  await assert.rejects(world.now(promise), /still pending/);
  await world.advance(1);
  assert.equal(await world.now(promise), "done");
});

test("bytes arrive in order, and are the link's again afterwards", async () => {
  const world = new TestWorld();
  const received: number[][] = [];
  const kept: Uint8Array[] = [];
  world.network.serve({ host: "a" }, () =>
    recording((bytes) => {
      received.push([...bytes]);
      kept.push(bytes);
    }),
  );
  const { link } = await connect(world, server);
  link?.send(Uint8Array.of(1, 2));
  link?.send(Uint8Array.of(3));
  await world.settle();
  assert.deepEqual(received, [[1, 2], [3]]);
  assert.deepEqual([...(kept[0] ?? [])], [0xee, 0xee]);
});

test("a link that is cut is closed at both ends, and loses what is on its way", async () => {
  const world = new TestWorld();
  const told: string[] = [];
  world.network.serve({ port: 1 }, () => recording(() => void told.push("data"), told));
  const { link } = await connect(world, server, told);
  link?.send(Uint8Array.of(1));
  world.network.links[0]?.cut();
  await world.settle();
  assert.deepEqual(told, ["closed", "closed"]);
  assertNothingRuns(world);
});

test("a place is a host, a port or both", async () => {
  for (const place of [{ host: "a" }, { port: 1 }, server]) {
    const world = new TestWorld();
    const stop = world.network.serve(place, () => recording());
    assert.notEqual((await connect(world, server)).link, undefined);
    const other = await connect(world, { host: "b", port: 2 });
    assert.equal(other.error?.message, "connection refused");
    stop();
    assert.equal((await connect(world, server)).error?.message, "connection refused");
    assert.equal(world.network.connectCount, 3);
    assert.equal(world.network.openLinkCountMax, 1);
  }
});

test("from a silent place comes nothing, and the attempt stays", async () => {
  const world = new TestWorld();
  world.network.serve(server, () => recording());
  world.network.silence({ host: "a" });
  assert.deepEqual(await connect(world, server), { link: undefined, error: undefined });
  assert.equal(world.network.attempts.size, 1);
  assert.throws(() => assertNothingRuns(world));
});

test("what is thrown in place of an error of ours passes through", async () => {
  const world = new TestWorld();
  const error = new ConnectionError("EVH_DISCONNECTED", "it broke");
  assertError(await errorOf(Promise.reject(error)), "EVH_DISCONNECTED", error.outcome);
  await assert.rejects(rejection(world, Promise.reject(new TypeError("wrong"))), TypeError);
  await assert.rejects(errorOf(Promise.resolve()), /not rejected/);
});

function recording(
  onData: (bytes: Uint8Array) => void = () => undefined,
  told: string[] = [],
): LinkHandler {
  return {
    onData,
    onSent: () => undefined,
    onDrained: () => undefined,
    onClosed: () => void told.push("closed"),
  };
}

/** What came of an attempt by the time everything has happened. */
async function connect(
  world: TestWorld,
  endpoint: Endpoint,
  told: string[] = [],
): Promise<{ readonly link: Link | undefined; readonly error: Error | undefined }> {
  let link: Link | undefined;
  let error: Error | undefined;
  world.network.connect(endpoint, {
    onConnected: (connected) => {
      link = connected;
      return recording(undefined, told);
    },
    onFailed: (cause) => void (error = cause),
  });
  await world.settle();
  return { link, error };
}
