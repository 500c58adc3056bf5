import {
  type Grant,
  LeaderLatch,
  Mutex,
  Semaphore,
  type ZooKeeper,
} from "@everhold/zookeeper-core";
import { claimOf } from "./client-mistakes.ts";
import type { KeeperLife } from "./keeper-life.ts";

/** Where everybody stands in line. */
export const lockPaths = { mutex: "/lock", semaphore: "/permits", latch: "/leaders" } as const;

const permitsMax = 3;

/** Takes the lock, does some things under it, and gives it back. */
export async function takeLock(life: KeeperLife, client: ZooKeeper): Promise<void> {
  const mutex = new Mutex(client, lockPaths.mutex, timingOf(life));
  const grant = await mutex.acquire({ timeout: 20_000 });
  await actUnder(life, grant, { lock: mutex.path, permits: 1, permitsMax: 1 });
}

/** The same with some of the permits. */
export async function takePermits(life: KeeperLife, client: ZooKeeper): Promise<void> {
  const options = { ...timingOf(life), permits: permitsMax };
  const semaphore = new Semaphore(client, lockPaths.semaphore, options);
  const permits = life.prng.pick([1, 1, 2]);
  const grant = await semaphore.acquire({ permits, timeout: 20_000 });
  await actUnder(life, grant, { lock: semaphore.path, permits, permitsMax });
}

/** Stands for the election for as long as the client lives, and acts as leader whenever it leads. */
export function standForLeader(life: KeeperLife, client: ZooKeeper): LeaderLatch {
  const latch = new LeaderLatch(client, lockPaths.latch, { ...timingOf(life), id: life.name });
  let forgetLast = (): void => undefined;
  latch.on("leader", ({ grant }) => {
    const held = { lock: latch.path, permits: 1, permitsMax: 1, epoch: grant.epoch };
    const { act, forget } = life.hold(held, claimOf(life, client, grant));
    forgetLast = forget;
    act();
  });
  latch.on("notLeader", () => forgetLast());
  latch.on("error", ({ error }) => life.expect(error));
  latch.start();
  return latch;
}

/** A leader gives it up now and then. */
export async function stepDown(life: KeeperLife, latch: LeaderLatch): Promise<void> {
  if (life.prng.chance(0.1)) await latch.grant?.release();
}

async function actUnder(
  life: KeeperLife,
  grant: Grant,
  held: { readonly lock: string; readonly permits: number; readonly permitsMax: number },
): Promise<void> {
  const { client, prng } = life;
  if (client === undefined) return;
  const claim = claimOf(life, client, grant);
  const { act, forget } = life.hold({ ...held, epoch: grant.epoch }, claim);
  try {
    const pauseMsMax = prng.pick([10, 300, 3000]);
    for (let left = prng.integer(0, 5); left > 0; left -= 1) {
      act();
      await life.sleep(prng.fraction() * pauseMsMax);
    }
  } finally {
    forget();
    await grant.release();
  }
}

function timingOf({ settings }: KeeperLife): { readonly tickTime: number } {
  return { tickTime: settings.tellMsMax };
}
