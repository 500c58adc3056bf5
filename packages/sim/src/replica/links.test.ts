import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Prng } from "@everhold/base";
import { SimNetwork } from "../network/sim-network.ts";
import { World } from "../world/world.ts";
import { SimMember } from "./links-world.test-support.ts";

const seeds = Array.from({ length: 8 }, (_, index) => index + 1);
const faultyMs = 40_000;
/** Longer than the longest limit after which a link is given up, and the pause that follows. */
const peaceMs = 40_000;

interface Scene {
  readonly world: World;
  readonly network: SimNetwork;
  readonly prng: Prng;
  readonly members: readonly SimMember[];
  readonly live: SimMember;
}

function newScene(seed: number): Scene {
  const world = new World({ seed });
  const network = new SimNetwork(world);
  const live = new SimMember(world, network, "live");
  const backups = ["one", "two"].map((id) => new SimMember(world, network, id));
  live.start(null);
  for (const backup of backups) backup.start("live");
  return { world, network, prng: world.randomFor("links"), members: [live, ...backups], live };
}

function followedBy(member: SimMember): string | null {
  return member.id === "live" ? null : "live";
}

/** One thing that goes wrong. */
function disturb({ network, prng, members }: Scene): void {
  const member = members[prng.integer(0, members.length - 1)];
  const durationMs = prng.integer(1, 15_000);
  switch (prng.integer(0, 8)) {
    case 0:
      return void network.cutOne();
    case 1:
      return void network.stallOne(durationMs);
    case 2:
      return void network.dropOne();
    case 3:
      return network.partition(durationMs);
    case 4:
      return network.refuse(durationMs);
    case 5:
      return member?.kill();
    case 6:
      return void member?.machine.standStill(durationMs);
    case 7:
      for (const link of member?.openLinks ?? []) member?.disconnect(link);
      return;
    default:
      member?.follow(null);
      return member?.follow(followedBy(member));
  }
}

async function run(scene: Scene, durationMs: number, isFaulty: boolean): Promise<void> {
  const { world, prng, members } = scene;
  const endMs = world.nowMs + durationMs;
  while (world.nowMs < endMs && world.failures.length === 0) {
    // The world ends a run where nothing is left to happen: this keeps its time going.
    world.after(250, "test", "time passes", () => undefined);
    await world.run({ timeMs: world.nowMs + 250 });
    if (isFaulty && prng.chance(0.1)) disturb(scene);
    for (const member of members) {
      if (!member.machine.running && (!isFaulty || prng.chance(0.1))) {
        member.start(followedBy(member));
      }
      const sizeOf = (): number => (prng.chance(0.05) ? 100_000 : prng.integer(0, 2000));
      member.send(prng.integer(0, 5), sizeOf);
    }
  }
}

describe("links on a network that fails", () => {
  it("lose, alter and mix up no frame of a link, whatever breaks, and are made again", async () => {
    let brokenCount = 0;
    for (const seed of seeds) {
      const scene = newScene(seed);
      const { world, members, live } = scene;
      await run(scene, faultyMs, true);
      await run(scene, peaceMs, false);
      assert.deepEqual(world.failures, [], `seed ${seed}`);
      for (const backup of members.slice(1)) {
        const open = backup.openLinks.map((link) => backup.heard.get(link)?.id);
        assert.deepEqual(open, ["live"], `seed ${seed}: ${backup.id}`);
        brokenCount += backup.heard.size - 1;
      }
      const callers = live.openLinks.map((link) => live.heard.get(link)?.id);
      assert.deepEqual(callers.toSorted(), ["one", "two"], `seed ${seed}`);
    }
    assert.ok(brokenCount > seeds.length, "links did break");
  });

  it("are the same run again, from the same seed", async () => {
    const counts = [];
    for (let index = 0; index < 2; index += 1) {
      const scene = newScene(7);
      await run(scene, faultyMs, true);
      counts.push([scene.world.eventCount, ...scene.members.map(({ frameCount }) => frameCount)]);
    }
    assert.deepEqual(counts[0], counts[1]);
  });
});
