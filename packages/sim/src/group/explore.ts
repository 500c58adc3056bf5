import { eventsOf, type Event } from "./events.ts";
import { fingerprint } from "./fingerprint.ts";
import type { Mistake } from "./mistakes.ts";
import { emptyBudget, emptyWorld, type Budget, type World } from "./world.ts";

/** What is explored. */
export interface ExploreOptions {
  /** 2 to 5. */
  readonly memberCount: number;
  readonly minInSync: number;
  readonly budget: Budget;
  readonly mistake?: Mistake | undefined;
  /** Stops when so many different worlds were seen. */
  readonly stateCountMax: number;
  /** Told after every level: how deep it is, and how many worlds were seen. */
  readonly onLevel?: (depth: number, stateCount: number) => void;
}

/** What came of it. */
export interface Exploration {
  /** Different worlds seen, worlds with members' names exchanged counted once. */
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
  const { memberCount, minInSync, budget, mistake, stateCountMax, onLevel } = options;
  const seen = new Set<number>();
  const parents: number[] = [];
  const words: string[] = [];
  const texts = new Map<string, string>();
  let eventCount = 0;
  let depth = 0;
  let level: { readonly world: World; readonly place: number }[] = [];
  const reach = (parent: number, what: string): number => {
    parents.push(parent);
    const word = texts.get(what) ?? what;
    texts.set(what, word);
    words.push(word);
    return parents.length - 1;
  };
  const first = { ...formGroup(memberCount, minInSync), budget };
  seen.add(fingerprint(first));
  level.push({ world: first, place: reach(-1, "") });
  while (level.length > 0) {
    const next: typeof level = [];
    for (const { world, place } of level) {
      for (const event of eventsOf(world, mistake)) {
        eventCount += 1;
        const after = event.next();
        if (after.broken !== null) {
          const trace = [event.what];
          for (let at = place; at > 0; at = parents[at] ?? 0) trace.unshift(words[at] ?? "");
          const failure = { broken: after.broken, trace };
          return {
            stateCount: seen.size,
            eventCount,
            depth: depth + 1,
            isComplete: false,
            failure,
          };
        }
        const key = fingerprint(after);
        if (seen.has(key)) continue;
        seen.add(key);
        next.push({ world: after, place: reach(place, event.what) });
        if (seen.size >= stateCountMax) {
          return { stateCount: seen.size, eventCount, depth, isComplete: false, failure: null };
        }
      }
    }
    if (next.length > 0) depth += 1;
    onLevel?.(depth, seen.size);
    level = next;
  }
  return { stateCount: seen.size, eventCount, depth, isComplete: true, failure: null };
}

/** While a group forms, its first member is promoted only when nothing else is left to happen. */
function rank(event: Event): number {
  return event.costs === null ? 0 : 1;
}
