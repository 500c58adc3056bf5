import { eventsOf, type Event } from "./events.ts";
import { fingerprint } from "./fingerprint.ts";
import type { Mistake } from "./mistakes.ts";
import { brokenProgress, isDead } from "./progress.ts";
import { SeenWorlds } from "./seen-worlds.ts";
import { emptyBudget, emptyWorld, type Budget, type World } from "./world.ts";

/** What is explored. */
export interface ExploreOptions {
  /** 2 to 5. */
  readonly memberCount: number;
  readonly minInSync: number;
  readonly budget: Budget;
  readonly mistake?: Mistake | undefined;
  /** Disks confirm at once, and greetings and acknowledgements arrive at once: fewer worlds, of more members. */
  readonly isCoarse?: boolean;
  /** Stops when so many different worlds were seen. */
  readonly stateCountMax: number;
  /** Told after every level: how deep it is, and how many worlds were seen. */
  readonly onLevel?: (depth: number, stateCount: number) => void;
}

/** What came of it. */
export interface Exploration {
  /** Different worlds seen, worlds with members' names exchanged counted once; 0: nobody counted. */
  readonly stateCount: number;
  /** Events that were tried. */
  readonly eventCount: number;
  /** The most events from the formed group to a world. */
  readonly depth: number;
  /** Whether there is nothing more to see within the budget. */
  readonly isComplete: boolean;
  /** The first broken rule and the shortest way to it, in words; null where none was found. */
  readonly failure: { readonly broken: string; readonly trace: readonly string[] } | null;
}

/** More events than a group needs to form. */
const formEventsMax = 500;

/** A group in which all members are in sync and nothing is under way, made from empty disks by its own rules. */
export function formGroup(memberCount: number, minInSync: number): World {
  let world = emptyWorld(memberCount, minInSync, { ...emptyBudget, promote: 1 });
  for (let count = 0; count < formEventsMax; count += 1) {
    const [event] = eventsOf(world).toSorted((one, other) => rank(one) - rank(other));
    if (event === undefined) return world;
    world = event.next();
    if (world.broken !== null) throw new Error(`a group did not form: ${world.broken}`);
  }
  throw new Error(`a group did not form: found ${formEventsMax} events, expected fewer`);
}

/** Breadth first over everything that can happen to a formed group within the budget. */
export function explore(options: ExploreOptions): Exploration {
  const {
    memberCount,
    minInSync,
    budget,
    mistake,
    stateCountMax,
    isCoarse = false,
    onLevel,
  } = options;
  const seen = new SeenWorlds();
  let eventCount = 0;
  let depth = 0;
  const result = (isComplete: boolean, failure: Exploration["failure"]): Exploration => {
    return { stateCount: seen.count, eventCount, depth, isComplete, failure };
  };
  const failed = (broken: string, place: number, last: readonly string[]): Exploration => {
    return result(false, { broken, trace: [...seen.wayTo(place), ...last] });
  };
  const first = { ...formGroup(memberCount, minInSync), budget };
  seen.add(fingerprint(first), 0, "");
  let level: { readonly world: World; readonly place: number }[] = [{ world: first, place: 0 }];
  while (level.length > 0) {
    const next: typeof level = [];
    for (const { world, place } of level) {
      const events = eventsOf(world, mistake);
      if (isDead(world) || events.every(({ costs }) => costs !== null)) {
        seen.rests(place);
        const broken = brokenProgress(world);
        if (broken !== null) return failed(broken, place, []);
      }
      for (const { what, costs, next: happen } of events) {
        eventCount += 1;
        const after = isCoarse ? withPrompt(happen(), mistake) : happen();
        if (after.broken !== null) return failed(after.broken, place, [what]);
        const key = fingerprint(after);
        const added = seen.add(key, place, what);
        if (costs === null) seen.leads(place, key);
        if (added === null) continue;
        next.push({ world: after, place: added });
        if (seen.count >= stateCountMax) return result(false, null);
      }
    }
    if (next.length > 0) depth += 1;
    onLevel?.(depth, seen.count);
    level = next;
  }
  const restless = seen.firstRestless();
  if (restless !== null) return failed("L1: the group never comes to rest", restless, []);
  return result(true, null);
}

/** What follows at once in the coarse model has happened. */
function withPrompt(world: World, mistake: Mistake | undefined): World {
  let now = world;
  for (;;) {
    const event =
      now.broken === null ? eventsOf(now, mistake).find((one) => one.isPrompt) : undefined;
    if (event === undefined) return now;
    now = event.next();
  }
}

/** While a group forms, its first member is promoted only when nothing else is left to happen. */
function rank(event: Event): number {
  return event.costs === null ? 0 : 1;
}
