import type { ContestName } from "./contest.ts";

/** Lies that the judge must find out: each makes a contender act as one with a bad lock, or a careless user, would. */
export const sabotages = ["token", "trust"] as const;

/** `token`: the store is not shown the grant's token. `trust`: it holds the lock until it is told otherwise. */
export type Sabotage = (typeof sabotages)[number];

/** What a contender's process is started with. */
export interface ContenderSettings {
  readonly number: number;
  /** Servers, by way of the contender's own proxies. */
  readonly servers: string;
  readonly controlPort: number;
  readonly storePort: number;
  readonly sessionTimeout: number;
  readonly seed: number;
  readonly contest: ContestName;
  readonly sabotage: Sabotage | undefined;
}

/** What a contender is told while it runs. */
export type Command =
  /** Block the process, at once or right before it writes next, for so long or until there is a file. */
  | {
      readonly command: "stall";
      readonly isBeforeWrite: boolean;
      readonly durationMs: number;
      /** A path; blocks for `durationMs` at most, too. */
      readonly untilFile: string;
    }
  /** Add this to what `Date.now()` says. */
  | { readonly command: "jumpClock"; readonly byMs: number }
  | { readonly command: "measure" }
  | { readonly command: "stop" };

/** As one argument of a program. */
export function formatSettings(settings: ContenderSettings): string {
  return JSON.stringify(settings);
}

/** @throws Error when it is none */
export function parseSettings(text: string | undefined): ContenderSettings {
  const value: unknown = JSON.parse(text ?? "null");
  if (!isSettings(value)) throw new Error(`expected the settings of a contender, found ${text}`);
  return value;
}

export function isCommand(value: object): value is Command {
  return "command" in value;
}

function isSettings(value: unknown): value is ContenderSettings {
  return typeof value === "object" && value !== null && "controlPort" in value;
}
