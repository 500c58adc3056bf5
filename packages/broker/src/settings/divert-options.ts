import { EverholdError, type ErrorCode } from "@everhold/base";

import { isName } from "../engine/names.ts";
import { limits } from "../limits.ts";
import { parseFilter } from "../selector/selector.ts";
import { divertRoutings, type DivertDefinition, type DivertRouting } from "../state/rules.ts";

/**
 * A divert: what is sent to one address goes to others as well, or instead. Words and defaults are those of Artemis,
 * its documentation "diverts".
 */
export interface DivertOptions {
  /** The address whose messages are diverted; it may be a wildcard address. */
  readonly address: string;
  /** Where they go: one address or several. */
  readonly forwardingAddress: string | readonly string[];
  /** Whether they go there only. Default false: the address gets them, too. */
  readonly exclusive?: boolean;
  /** Which messages; default all. */
  readonly filter?: string | null;
  /** Which routing type they have from then on: `strip` is none, `pass` that which they had. Default `strip`. */
  readonly routingType?: DivertRouting;
  /** Kept and shown; nothing depends on it. Default the divert's name. */
  readonly routingName?: string;
}

/** Diverts by their names. */
export type DivertsByName = Readonly<Record<string, DivertOptions>>;

/**
 * A divert as it is kept.
 *
 * @throws EverholdError `code` for names that no divert or address can have, for none or too many addresses to forward
 * to, and for one that forwards to its own address; EVH_INVALID_FILTER
 */
export function divertDefinitionOf(
  name: string,
  options: DivertOptions,
  code: ErrorCode,
): DivertDefinition {
  const { address, forwardingAddress, routingType = "strip", exclusive = false } = options;
  const forwardTo = typeof forwardingAddress === "string" ? [forwardingAddress] : forwardingAddress;
  const routingName = options.routingName ?? name;
  const filter = (options.filter ?? "").trim() === "" ? null : (options.filter ?? null);
  const problem = problemOf([name, routingName, address, ...forwardTo]);
  if (problem !== undefined) throw new EverholdError(code, `cannot use the divert ${problem}`);
  const count = forwardTo.length;
  if (count === 0 || count > limits.divertTargetsMax || new Set(forwardTo).size < count) {
    throw new EverholdError(
      code,
      `cannot use the divert "${name}": it forwards to ${count} addresses, expected 1 to ${limits.divertTargetsMax} different ones`,
    );
  }
  if (forwardTo.includes(address)) {
    throw new EverholdError(
      code,
      `cannot use the divert "${name}": it forwards to "${address}", which is its own address`,
    );
  }
  parseFilter(filter);
  const routing = divertRoutings.indexOf(routingType);
  return { routingName, address, forwardTo: [...forwardTo], filter, exclusive, routing };
}

function problemOf(names: readonly string[]): string | undefined {
  const wrong = names.find((name) => !isName(name));
  if (wrong === undefined) return undefined;
  return `"${names[0]?.slice(0, 100)}": found the name "${wrong.slice(0, 100)}", expected 1 to ${limits.nameCharsMax} characters without "::"`;
}
