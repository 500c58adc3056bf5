/**
 * Clients that work for long while all sorts of faults happen: what they hold does not grow. By hand, as it takes half
 * an hour: `npm run zookeeper -- soak`; `SECONDS=1800` is how long, `SEED=1` what the faults are made of.
 */
import assert from "node:assert/strict";
import { it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";

import { Prng } from "@everhold/base";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectTo } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { readGauges, showGauges, type Gauges } from "../support/gauges.ts";
import { tellOfServers } from "../support/ground.ts";
import { Owned } from "../support/owned.ts";
import { proxiesOf, type Proxies } from "../support/proxies.ts";
import { killSession } from "../support/session-killer.ts";
import { SoakUser, touchAll } from "../support/soak-user.ts";
import { until } from "../support/until.ts";

tellOfServers();

const seconds = Number(process.env["SECONDS"] ?? 1800);
const seed = Number(process.env["SEED"] ?? 1);
const userCount = 4;
/** Faults between two looks. */
const faultCount = 20;
/** What is compiled, kept and filled up as long as anything new happens is in it before the first look. */
const warmUpRounds = 2;
/** What a heap is more or less by chance. */
const heapSlackBytes = 8 * 2 ** 20;

it("heap, handles, watches and nodes are no more at the end than at the start", async () => {
  const version = zooKeeperVersions.at(-1) ?? "3.9.5";
  await using ensemble = await Ensemble.start({ version });
  using proxies = await proxiesOf(ensemble);
  await using other = await connectTo(ensemble.connectString);
  await other.create("/soak/tree", null, { parents: true });
  await using owned = new Owned();
  const users: SoakUser[] = [];
  for (let id = 0; id < userCount; id += 1) {
    users.push(owned.own(await SoakUser.start(proxies.connectString, id)));
  }
  const random = new Prng(seed);
  const endMs = performance.now() + seconds * 1000;
  let start: Gauges | undefined;
  for (let round = 1; ; round += 1) {
    await workUnderFaults(users, () => harm({ ensemble, proxies, users, random }));
    await ensemble.startAll();
    for (const user of users) await user.settle(userCount);
    await touchAll(other);
    const isLast = performance.now() > endMs && start !== undefined;
    const gauges = await settledGauges(ensemble, start);
    process.stdout.write(`round ${round}: ${showGauges(gauges)}\n`);
    if (round === warmUpRounds) start = gauges;
    if (!isLast || start === undefined) continue;
    assert.ok(gauges.heapBytes <= start.heapBytes + heapSlackBytes, "the heap has grown");
    break;
  }
  const epochs = users.map(({ client }) => client.epoch);
  const done = users.reduce((sum, { calls }) => sum + calls.done, 0);
  const failed = users.reduce((sum, { calls }) => sum + calls.failed, 0);
  process.stdout.write(`${done} calls done, ${failed} failed, epochs ${epochs.join(", ")}\n`);
  assert.ok(epochs.some((epoch) => epoch > 1));
});

/** All work until the faults are over. */
async function workUnderFaults(
  users: readonly SoakUser[],
  harmOnce: () => Promise<void>,
): Promise<void> {
  let isOver = false;
  const working = users.map((user) => user.work(() => isOver));
  try {
    for (let count = 0; count < faultCount; count += 1) await harmOnce();
  } finally {
    isOver = true;
    await Promise.all(working);
  }
}

interface Stage {
  readonly ensemble: Ensemble;
  readonly proxies: Proxies;
  readonly users: readonly SoakUser[];
  readonly random: Prng;
}

/** One fault, which is over when this returns. */
async function harm({ ensemble, proxies, users, random }: Stage): Promise<void> {
  const { servers } = ensemble;
  const server = servers[random.integer(0, servers.length - 1)];
  const user = users[random.integer(0, users.length - 1)];
  const proxy = proxies.all[random.integer(0, proxies.all.length - 1)];
  assert.ok(server !== undefined && user !== undefined && proxy !== undefined);
  const lastsMs = random.integer(100, 2500);
  switch (random.integer(0, 6)) {
    case 0:
      proxy.cut();
      break;
    case 1:
      proxy.freeze("replies");
      await delay(lastsMs);
      proxy.cut();
      proxy.thaw();
      break;
    case 2:
      proxy.freeze();
      await delay(lastsMs);
      proxy.thaw();
      break;
    case 3:
      // Longer than a session.
      proxies.cutOff();
      await delay(8 * lastsMs);
      proxies.rejoin();
      break;
    case 4:
      server.standStill();
      await delay(2 * lastsMs);
      server.goOn();
      break;
    case 5:
      await server.kill();
      await delay(lastsMs);
      await server.start();
      await server.serves();
      break;
    default:
      // It may have ended by itself, or its server may be gone.
      await killSession(server.clientPort, user.client.sessionId).catch(() => undefined);
  }
  await delay(random.integer(100, 1500));
}

/** As they are when servers have forgotten sessions that ended: no more than `start`, or this fails. */
async function settledGauges(ensemble: Ensemble, start: Gauges | undefined): Promise<Gauges> {
  let gauges = await readGauges(ensemble);
  const settled = await until(
    "handles, watches and nodes are no more than at the start",
    async () => {
      // Of a client's sessions one is left: with the user's own that is one each.
      gauges = await readGauges(ensemble);
      if (gauges.sessions > userCount + 1) return undefined;
      return start === undefined || isNoMore(gauges, start) ? gauges : undefined;
    },
    () =>
      `\nstart: ${start === undefined ? "none" : showGauges(start)}\nnow: ${showGauges(gauges)}`,
  );
  return settled;
}

function isNoMore(now: Gauges, start: Gauges): boolean {
  // Who has just come to a line watches nobody yet.
  if (now.watches > start.watches + userCount || now.nodes > start.nodes) return false;
  if (now.ephemerals > start.ephemerals) return false;
  return Object.entries(now.handles).every(([kind, count]) => count <= (start.handles[kind] ?? 0));
}
