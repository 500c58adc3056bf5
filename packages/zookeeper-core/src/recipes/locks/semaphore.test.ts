import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { assertError, rejection } from "@everhold/test-world";
import type { Place } from "../contention/line.ts";
import { lockSetup, timing } from "./lock-setup.test-support.ts";
import { permitRule, permitsOf, Semaphore } from "./semaphore.ts";

test("as many hold it as there are permits, and who leaves makes room, whoever it is", async () => {
  const { client, countAt, soon, isPending, servers, end } = await lockSetup();
  const semaphore = new Semaphore(client, "/limit", { permits: 3, ...timing });
  const held = [];
  for (let count = 0; count < 3; count += 1) held.push(await soon(semaphore.acquire()));
  const waiting = [semaphore.acquire(), semaphore.acquire(), semaphore.acquire()];
  for (const one of waiting) assert.equal(await isPending(one), true);
  // The last, the first, and the one between: each makes room for the one who waits longest.
  for (const [index, which] of [2, 0, 1].entries()) {
    servers.told.length = 0;
    await servers.world.now(held[which]?.release() ?? Promise.resolve());
    const next = waiting[index] ?? semaphore.acquire();
    assert.equal((await soon(next)).isHeld(), true);
    assert.ok(servers.told.filter((told) => told.startsWith("deleted")).length <= 1);
    for (const one of waiting.slice(index + 1)) assert.equal(await isPending(one), true);
  }
  assert.equal(countAt("/limit"), 3);
  await end();
});

test("who wants many is not passed by who wants few", async () => {
  const { client, soon, isPending, servers, end } = await lockSetup();
  const semaphore = new Semaphore(client, "/limit", { permits: 3, ...timing });
  const two = await soon(semaphore.acquire({ permits: 2 }));
  const all = semaphore.acquire({ permits: 3 });
  const one = semaphore.acquire();
  assert.equal(await isPending(all), true);
  assert.equal(await isPending(one), true);
  await servers.world.now(two.release());
  const three = await soon(all);
  assert.equal(await isPending(one), true);
  await servers.world.now(three.release());
  assert.equal((await soon(one)).isHeld(), true);
  await end();
});

test("where there are more permits all at once, who waits has one, and where fewer, who holds keeps it", async () => {
  const { client, soon, isPending, servers, end } = await lockSetup();
  const semaphore = new Semaphore(client, "/limit", { permits: 1, ...timing });
  const first = await soon(semaphore.acquire());
  const waiting = [semaphore.acquire(), semaphore.acquire(), semaphore.acquire()];
  assert.equal(await isPending(Promise.race(waiting)), true);
  semaphore.setPermits(3);
  const more = await soon(Promise.all(waiting.slice(0, 2)));
  assert.equal(await isPending(waiting[2] ?? Promise.resolve()), true);
  semaphore.setPermits(1);
  assert.deepEqual([semaphore.permits, first.isHeld(), more[0]?.isHeld()], [1, true, true]);
  await servers.world.now(first.release());
  await servers.world.now(more[1]?.release() ?? Promise.resolve());
  assert.equal(await isPending(waiting[2] ?? Promise.resolve()), true);
  await servers.world.now(more[0]?.release() ?? Promise.resolve());
  assert.equal((await soon(waiting[2] ?? semaphore.acquire())).isHeld(), true);
  await end();
});

test("counts that can't be are refused", async () => {
  const { client, servers, end } = await lockSetup();
  for (const permits of [0, 1.5, -1, Number.NaN, 1e9]) {
    assert.throws(() => new Semaphore(client, "/limit", { permits }), { code: "EVH_CONFIG" });
  }
  const semaphore = new Semaphore(client, "/limit", { permits: 2 });
  const tooMany = await rejection(servers.world, semaphore.acquire({ permits: 3 }));
  assertError(tooMany, "EVH_CONFIG");
  assert.match(String(tooMany), /option permits is 3, expected a whole number from 1 to 2/);
  assert.throws(() => semaphore.setPermits(0), { code: "EVH_CONFIG" });
  await end();
});

test("a name says how many permits, whatever random id comes before", () => {
  assert.equal(permitsOf("_c_0b4a9f0c-0000-4000-8000-000000008029-x12-permit-0000000003"), 12);
  assert.equal(permitsOf("_c_0b4a9f0c-0000-4000-8000-000000008029-permit-0000000003"), 1);
  assert.equal(permitsOf("permit-0000000003"), 1);
});

test("whoever comes and leaves, no more are held than there are, and who is first holds", () => {
  const wanted = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(wanted, (all) => {
      const rule = permitRule(() => 4);
      const line: Place[] = all.map((count, sequence) => ({
        name: `_c_id-x${count}-permit-${sequence}`,
        kind: "permit-",
        sequence,
      }));
      while (line.length > 0) {
        const holders = line.filter((_, index) => rule(line, index) === undefined);
        const count = holders.reduce((sum, { name }) => sum + permitsOf(name), 0);
        assert.ok(count <= 4);
        assert.equal(holders[0], line[0]);
        assert.deepEqual(holders, line.slice(0, holders.length));
        line.splice(count % holders.length, 1);
      }
    }),
  );
});
