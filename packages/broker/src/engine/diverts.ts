import { EverholdError } from "@everhold/base";

import { limits } from "../limits.ts";
import { parseFilter, type Selector } from "../selector/selector.ts";
import { divertDefinitionOf, type DivertOptions } from "../settings/divert-options.ts";
import { isWild } from "../settings/address-match.ts";
import { originText } from "../state/origins.ts";
import { divertRoutings, type DivertDefinition, type DivertRouting } from "../state/rules.ts";
import { diversionCause } from "./diversion.ts";
import type { Engine } from "./engine.ts";
import type { Provenance } from "./provenance.ts";
import { WildcardAddresses } from "./wildcard-addresses.ts";

/** An address that a divert forwards to, and what rows say that come there by it. */
export interface DivertTarget {
  readonly address: string;
  readonly origin: string;
  /** What filters behind the divert see of the message. */
  readonly provenance: Provenance;
}

/** One divert, ready to be followed. */
export interface Divert {
  readonly name: string;
  readonly definition: DivertDefinition;
  readonly routing: DivertRouting;
  readonly selector: Selector | undefined;
  readonly targets: readonly DivertTarget[];
  /** Whether it was made at run time; else it stands in the configuration. */
  readonly atRunTime: boolean;
}

interface DivertsOfAddress {
  readonly name: string;
  /** Exclusive ones first. */
  readonly diverts: Divert[];
}

/**
 * The diverts: rules by which messages for one address go to others. Those made at run time are kept in the journal; one of
 * a name takes the place of the configured one of this name, until it is destroyed.
 *
 * Following them is part of routing: all queues that a message reaches are targets of its one record, so a divert
 * is as atomic as the send. Each divert is followed once for a message, which ends every circle.
 */
export class Diverts {
  readonly #engine: Engine;
  readonly #byName = new Map<string, Divert>();
  readonly #exact = new Map<string, DivertsOfAddress>();
  #wild = new WildcardAddresses<DivertsOfAddress>();
  #version = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Takes over what the configuration says and what recovery found. Call once. @throws EverholdError EVH_CONFIG */
  load(): void {
    const { config, state, log } = this.#engine;
    for (const name of Object.keys(config.diverts)) this.#configure(name);
    const overridden = [...state.rules.diverts.keys()].filter((name) => this.#byName.has(name));
    for (const [name, definition] of state.rules.diverts) {
      this.#byName.set(name, liveDivert(name, definition, true));
    }
    if (overridden.length > 0) {
      log.info("Diverts that were made at run time go before the configuration", {
        overridden: overridden.join(" "),
      });
    }
    this.#index();
  }

  /** How many there are. */
  get count(): number {
    return this.#byName.size;
  }

  /** Another one after each change. */
  get version(): number {
    return this.#version;
  }

  all(): IterableIterator<Divert> {
    return this.#byName.values();
  }

  find(name: string): Divert | undefined {
    return this.#byName.get(name);
  }

  /** Those of an address, exclusive ones first. Takes a look at all wildcard addresses: keep it until the version changes. */
  of(address: string): readonly Divert[] {
    const exact = this.#exact.get(address)?.diverts ?? [];
    const wild = this.#wild.matching(address);
    if (wild.length === 0) return exact;
    return sorted([...exact, ...wild.flatMap(({ diverts }) => diverts)]);
  }

  /** Makes a divert, or gives one other properties. @throws EverholdError EVH_REJECTED, EVH_INVALID_FILTER */
  set(name: string, options: DivertOptions): Divert {
    const definition = divertDefinitionOf(name, options, "EVH_REJECTED");
    if (!this.#byName.has(name) && this.#byName.size >= limits.divertsMax) {
      throw new EverholdError(
        "EVH_REJECTED",
        `cannot create the divert "${name}": there are ${this.#byName.size}, which is the limit`,
      );
    }
    this.#engine.state.setDivert(name, definition);
    const divert = liveDivert(name, definition, true);
    this.#byName.set(name, divert);
    this.#index();
    return divert;
  }

  /** Ends a divert that was made at run time; one that the configuration has of this name is heard again. */
  remove(divert: Divert): void {
    const { name } = divert;
    this.#engine.state.setDivert(name, null);
    this.#byName.delete(name);
    this.#configure(name);
    this.#index();
  }

  /** Hears what the configuration says of a name, if anything. @throws EverholdError EVH_CONFIG */
  #configure(name: string): void {
    const { diverts } = this.#engine.config;
    // People name diverts as they like, `constructor` as well.
    const options = Object.hasOwn(diverts, name) ? diverts[name] : undefined;
    if (options === undefined) return;
    const definition = divertDefinitionOf(name, options, "EVH_CONFIG");
    this.#byName.set(name, liveDivert(name, definition, false));
  }

  #index(): void {
    this.#version += 1;
    this.#exact.clear();
    this.#wild = new WildcardAddresses();
    for (const divert of sorted([...this.#byName.values()])) {
      const { address } = divert.definition;
      const found = this.#exact.get(address);
      if (found !== undefined) {
        found.diverts.push(divert);
        continue;
      }
      const group = { name: address, diverts: [divert] };
      this.#exact.set(address, group);
      if (isWild(address)) this.#wild.add(group);
    }
  }
}

function liveDivert(name: string, definition: DivertDefinition, atRunTime: boolean): Divert {
  const routing = divertRoutings[definition.routing] ?? "strip";
  return {
    name,
    definition,
    routing,
    atRunTime,
    selector: parseFilter(definition.filter),
    targets: definition.forwardTo.map((address) => {
      const cause = diversionCause({ routing, address });
      const seen = { addressName: address, messageId: 0, originQueue: name, cause, isFinal: false };
      return { address, origin: originText(name, cause), provenance: seen };
    }),
  };
}

function sorted(diverts: Divert[]): Divert[] {
  return diverts.sort(
    (one, other) => Number(other.definition.exclusive) - Number(one.definition.exclusive),
  );
}
