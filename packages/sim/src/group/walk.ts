import { Prng } from "@everhold/base";
import { eventsOf } from "./events.ts";
import { formGroup, type Exploration, type ExploreOptions } from "./explore.ts";
import { brokenProgress, isDead } from "./progress.ts";
import type { World } from "./world.ts";

/** More events than happen between two rests of a group. */
const restEventsMax = 20_000;

/**
 * What no budget can be explored to the end, walked through at random: `walkCount` times from the formed group until its
 * budget is spent and it is at rest. A seed gives the same walks again.
 */
export function walk(options: ExploreOptions, walkCount: number, seed: number): Exploration {
  const { memberCount, minInSync, budget, mistake } = options;
  let eventCount = 0;
  let depth = 0;
  for (let count = 0; count < walkCount; count += 1) {
    const prng = new Prng(seed + count);
    // Some walks are full of faults, and in some a group has time to come to rest between them.
    const faultShare = 0.02 + 0.3 * prng.fraction() ** 2;
    let world: World = { ...formGroup(memberCount, minInSync), budget };
    const trace: string[] = [`seed ${seed + count}`];
    let broken: string | null = null;
    while (broken === null) {
      const events = eventsOf(world, mistake);
      const free = events.filter(({ costs }) => costs === null);
      const paid = events.filter(({ costs }) => costs !== null);
      const isAtRest = free.length === 0 || isDead(world);
      if (isAtRest) broken = brokenProgress(world);
      if (isAtRest && paid.length === 0) break;
      const isPaid = paid.length > 0 && (isAtRest || prng.fraction() < faultShare);
      const choice = isPaid ? paid : free;
      const event = choice[prng.integer(0, choice.length - 1)];
      if (broken !== null || event === undefined) break;
      world = event.next();
      trace.push(event.what);
      broken = world.broken;
      if (trace.length > restEventsMax) broken ??= "L1: the group does not come to rest";
    }
    eventCount += trace.length - 1;
    depth = Math.max(depth, trace.length - 1);
    if (broken !== null) {
      const failure = { broken, trace };
      return { stateCount: 0, eventCount, depth, isComplete: false, failure };
    }
  }
  return { stateCount: 0, eventCount, depth, isComplete: false, failure: null };
}
