import { flag, list, nullable, string, struct, u8, type ValueOf } from "@everhold/wire";
import { stateLimits } from "./state-limits.ts";

const name = string(stateLimits.nameCharsMax);

/** SETTINGS: what is said of the addresses of a match, as JSON; `null` when nothing is said any more. */
export const settingsRecord = struct({
  match: name,
  settings: nullable(string(stateLimits.settingsCharsMax)),
});

/** How a diverted message is routed. Fixed numbers: 0 … 3 in this order. */
export const divertRoutings = ["multicast", "anycast", "pass", "strip"] as const;
export type DivertRouting = (typeof divertRoutings)[number];

/** What a divert does; see `engine/diverts.ts`. */
export const divertDefinition = struct({
  /** What messages and other brokers know it by; the divert's name unless somebody says otherwise. */
  routingName: name,
  address: name,
  forwardTo: list(name, stateLimits.divertTargetsMax),
  filter: nullable(string(stateLimits.filterCharsMax)),
  exclusive: flag,
  /** Index into {@link divertRoutings}. */
  routing: u8,
});
export type DivertDefinition = ValueOf<typeof divertDefinition>;

/** DIVERT: a divert as it is from here on; `null` when it is no more. */
export const divertRecord = struct({ name, definition: nullable(divertDefinition) });

/** Settings as snapshots keep them. */
export const settingsEntry = struct({
  match: name,
  settings: string(stateLimits.settingsCharsMax),
});

/** A divert as snapshots keep it. */
export const divertEntry = struct({ name, definition: divertDefinition });

/**
 * What was said at run time of how addresses behave. A record replaces all that was said under its name before,
 * so that replaying old ones over a snapshot ends with what was said last.
 */
export class Rules {
  /** JSON by match. */
  readonly settings = new Map<string, string>();
  readonly diverts = new Map<string, DivertDefinition>();

  applySettings({ match, settings }: ValueOf<typeof settingsRecord>): void {
    if (settings === null) this.settings.delete(match);
    else this.settings.set(match, settings);
  }

  applyDivert({ name: divert, definition }: ValueOf<typeof divertRecord>): void {
    if (definition === null) this.diverts.delete(divert);
    else {
      const { routingName, address, forwardTo, filter, exclusive, routing } = definition;
      // One order, whoever said it, so that equal diverts look equal in a dump.
      const said = { routingName, address, forwardTo, filter, exclusive, routing };
      this.diverts.set(divert, said);
    }
  }
}
