import { setTimeout as pause } from "node:timers/promises";

import type { Prng } from "@everhold/base";
import type { FreezingProxy, FrozenDirection } from "#zookeeper/freezing-proxy.js";
import {
  isOf,
  MemberLinks,
  wordsOf,
  wordsTo,
  type MemberLink,
  type MemberLinksOptions,
} from "#zookeeper/member-links.js";

/** What is held back on a link, where anything is. */
type Choice = (link: MemberLink) => FrozenDirection | undefined;

/** How links are cut that are between members only. */
const memberPartings = [
  ...["links broken", "a link silent", "a link silent one way", "cut off from members"],
  ...["heard by nobody", "hears nobody", "links silent at random"],
] as const;

/** The same with ZooKeeper. */
const keeperPartings = [
  ...memberPartings,
  ...["cut off from ZooKeeper", "cut off from everybody", "nobody reaches ZooKeeper"],
] as const;

/** How links of a group are cut. */
export type Parting = (typeof keeperPartings)[number];

/** What links of a group there are, before any of its members runs. */
export interface GroupLinksOptions extends MemberLinksOptions {
  readonly prng: Prng;
}

/**
 * The links of a group's members, to each other and to each server of ZooKeeper, which can be cut one by one: what is
 * held back on one arrives late, as from a network that was cut, or never.
 */
export class GroupLinks extends MemberLinks {
  readonly #prng: Prng;
  readonly #ids: readonly string[];
  readonly #hasServers: boolean;
  /** What is cut now, until it settles. */
  #parting: Promise<void> = Promise.resolve();

  constructor({ prng, ...options }: GroupLinksOptions) {
    super(options);
    this.#prng = prng;
    this.#ids = options.ids;
    this.#hasServers = options.serverPorts.length > 0;
  }

  /** Cuts some for so long, in a way of its choosing, where it is about one member about this one. It goes on by itself. */
  async part(about: string, durationMs: number): Promise<Parting> {
    await this.#parting;
    const parting = this.#prng.pick(this.#hasServers ? keeperPartings : memberPartings);
    const choice = this.#choiceOf(parting, about);
    const isLate = this.#prng.chance(0.5);
    const parted: FreezingProxy[] = [];
    for (const link of this.all) {
      if (parting === "links broken" && isOf(link, about)) link.proxy.cut();
      const direction = choice(link);
      if (direction === undefined) continue;
      link.proxy.freeze(direction);
      parted.push(link.proxy);
    }
    this.#parting = pause(parting === "links broken" ? 0 : durationMs).then(() => {
      for (const proxy of parted) {
        if (!isLate) proxy.cut();
        proxy.thaw();
      }
    });
    return parting;
  }

  /** Settles when everybody hears everybody again. */
  async joined(): Promise<void> {
    await this.#parting;
  }

  #choiceOf(parting: Parting, about: string): Choice {
    const others = this.#ids.filter((id) => id !== about);
    const other = others[this.#prng.integer(0, others.length - 1)] ?? "";
    const isPair = (link: MemberLink): boolean => isOf(link, about) && isOf(link, other);
    switch (parting) {
      case "links broken":
        return () => undefined;
      case "a link silent":
        return (link) => (isPair(link) ? "both" : undefined);
      case "a link silent one way":
        return (link) => (isPair(link) ? wordsOf(link, about) : undefined);
      case "cut off from members":
        return (link) => (isOf(link, about) && link.to !== undefined ? "both" : undefined);
      case "heard by nobody":
        return (link) => (isOf(link, about) ? wordsOf(link, about) : undefined);
      case "hears nobody":
        return (link) => (isOf(link, about) ? wordsTo(link, about) : undefined);
      case "links silent at random":
        return () =>
          this.#prng.chance(0.3) ? this.#prng.pick(["both", "requests", "replies"]) : undefined;
      case "cut off from ZooKeeper":
        return (link) => (isOf(link, about) && link.to === undefined ? "both" : undefined);
      case "cut off from everybody":
        return (link) => (isOf(link, about) ? "both" : undefined);
      case "nobody reaches ZooKeeper":
        return ({ to }) => (to === undefined ? "both" : undefined);
    }
  }
}
