import assert from "node:assert/strict";
import { test } from "node:test";
import { nameOf } from "../../protocol/paths.ts";
import { Mutex } from "./mutex.ts";
import { chance, harmedTiming, type HarmedLock, runHarmed } from "./random-harm.test-support.ts";
import { ReadWriteLock, readWriteKinds } from "./read-write-lock.ts";
import { permitsOf, Semaphore } from "./semaphore.ts";

/** Runs a lock with some seeds, and asserts that much has happened. */
async function harm(lock: HarmedLock, seedCount: number, tokensGrow: boolean): Promise<void> {
  let grantCount = 0;
  let lostCount = 0;
  for (let seed = 1; seed <= seedCount; seed += 1) {
    try {
      const found = await runHarmed(seed, lock);
      grantCount += found.grants.length;
      lostCount += found.lostCount;
      for (const [index, { token }] of tokensGrow ? found.grants.entries() : []) {
        assert.ok(token > (found.grants[index - 1]?.token ?? 0n), "tokens grow");
      }
    } catch (error) {
      throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
    }
  }
  assert.ok(grantCount > 5 * seedCount, `${grantCount} grants`);
  assert.ok(lostCount > 0, `${lostCount} lost`);
}

test("whatever is lost and cut off: one holds a mutex at a time, tokens grow, and nothing is left", () =>
  harm(
    {
      acquire: (client, wait) => new Mutex(client, "/lock", harmedTiming).acquire(wait),
      check: (held) => assert.ok(held.length <= 1, `${held.length} hold it at once`),
    },
    12,
    true,
  ));

test("whatever is lost and cut off: who writes is alone", () =>
  harm(
    {
      acquire(client, wait, prng) {
        const lock = new ReadWriteLock(client, "/lock", harmedTiming);
        return (chance(prng, 40) ? lock.write : lock.read).acquire(wait);
      },
      check(held) {
        const isWritten = held.some(({ path }) => path.includes(readWriteKinds.write));
        if (isWritten) assert.equal(held.length, 1);
      },
    },
    8,
    false,
  ));

test("whatever is lost and cut off: no more permits are held than there are, and nobody waits in vain", () =>
  harm(
    {
      acquire(client, wait, prng) {
        const semaphore = new Semaphore(client, "/lock", { permits: 3, ...harmedTiming });
        return semaphore.acquire({ permits: 1 + (prng.uint32() % 3), ...wait });
      },
      check(held) {
        const count = held.reduce((sum, { path }) => sum + permitsOf(nameOf(path)), 0);
        assert.ok(count <= 3, `${count} are held`);
      },
    },
    8,
    false,
  ));
