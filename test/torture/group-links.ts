import { setTimeout as pause } from "node:timers/promises";

import type { Prng } from "@everhold/base";
import { FreezingProxy, type FrozenDirection } from "#zookeeper/freezing-proxy.js";

import { CallerFront } from "./caller-front.ts";

/** One way from a member to another one, or to a server of ZooKeeper. */
interface Link {
  readonly from: string;
  /** A member, or `undefined` for a server of ZooKeeper. */
  readonly to: string | undefined;
  readonly proxy: FreezingProxy;
}

/** What is held back on a link, where anything is. */
type Choice = (link: Link) => FrozenDirection | undefined;

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
export interface GroupLinksOptions {
  readonly prng: Prng;
  readonly ids: readonly string[];
  /** Ports of ZooKeeper's servers. */
  readonly serverPorts: readonly number[];
}

/**
 * The links of a group's members, to each other and to each server of ZooKeeper, which can be cut one by one: what is
 * held back on one arrives late, as from a network that was cut, or never.
 */
export class GroupLinks {
  readonly #prng: Prng;
  readonly #ids: readonly string[];
  readonly #links: Link[] = [];
  readonly #fronts = new Map<string, CallerFront>();
  readonly #serverPorts: readonly number[];
  /** What is cut now, until it settles. */
  #parting: Promise<void> = Promise.resolve();

  constructor({ prng, ids, serverPorts }: GroupLinksOptions) {
    this.#prng = prng;
    this.#ids = ids;
    this.#serverPorts = serverPorts;
  }

  /** Where the others reach the links of a member that listens at `port`. */
  async announced(to: string, port: number): Promise<string> {
    const ports = new Map<string, number>();
    for (const from of this.#ids) {
      if (from === to) continue;
      const proxy = await FreezingProxy.start(port);
      this.#links.push({ from, to, proxy });
      ports.set(from, proxy.port);
    }
    const front = await CallerFront.start(ports);
    this.#fronts.set(to, front);
    return `127.0.0.1:${front.port}`;
  }

  /** Where a member reaches the servers of ZooKeeper. */
  async servers(from: string): Promise<string> {
    const places: string[] = [];
    for (const port of this.#serverPorts) {
      const proxy = await FreezingProxy.start(port);
      this.#links.push({ from, to: undefined, proxy });
      places.push(`127.0.0.1:${proxy.port}`);
    }
    return places.join(",");
  }

  /** Nobody listens for a member's links any more. */
  refuse(id: string): void {
    this.#fronts.get(id)?.refuse();
  }

  async accept(id: string): Promise<void> {
    await this.#fronts.get(id)?.accept();
  }

  /** Cuts some for so long, in a way of its choosing, where it is about one member about this one. It goes on by itself. */
  async part(about: string, durationMs: number): Promise<Parting> {
    await this.#parting;
    const parting = this.#prng.pick(this.#serverPorts.length > 0 ? keeperPartings : memberPartings);
    const choice = this.#choiceOf(parting, about);
    const isLate = this.#prng.chance(0.5);
    const parted: FreezingProxy[] = [];
    for (const link of this.#links) {
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

  stop(): void {
    for (const front of this.#fronts.values()) front.stop();
    for (const { proxy } of this.#links) proxy[Symbol.dispose]();
  }

  #choiceOf(parting: Parting, about: string): Choice {
    const others = this.#ids.filter((id) => id !== about);
    const other = others[this.#prng.integer(0, others.length - 1)] ?? "";
    const isPair = (link: Link): boolean => isOf(link, about) && isOf(link, other);
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

function isOf({ from, to }: Link, id: string): boolean {
  return from === id || to === id;
}

/** What this one says there. */
function wordsOf({ from }: Link, id: string): FrozenDirection {
  return from === id ? "requests" : "replies";
}

/** What is said to it there. */
function wordsTo({ from }: Link, id: string): FrozenDirection {
  return from === id ? "replies" : "requests";
}
