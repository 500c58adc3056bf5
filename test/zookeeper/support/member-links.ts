import { CallerFront } from "./caller-front.ts";
import { FreezingProxy, type FrozenDirection } from "./freezing-proxy.ts";

/** One way from a member of a group to another one, or to a server of ZooKeeper. */
export interface MemberLink {
  readonly from: string;
  /** A member, or `undefined` for a server of ZooKeeper. */
  readonly to: string | undefined;
  readonly proxy: FreezingProxy;
}

/** Of which group the links are, before any of its members runs. */
export interface MemberLinksOptions {
  readonly ids: readonly string[];
  /** Ports of ZooKeeper's servers. */
  readonly serverPorts: readonly number[];
}

/** The links of a group's members, to each other and to each server of ZooKeeper, a proxy in each. */
export class MemberLinks implements Disposable {
  readonly all: readonly MemberLink[];
  readonly #all: MemberLink[] = [];
  readonly #ids: readonly string[];
  readonly #fronts = new Map<string, CallerFront>();
  readonly #serverPorts: readonly number[];

  constructor({ ids, serverPorts }: MemberLinksOptions) {
    this.all = this.#all;
    this.#ids = ids;
    this.#serverPorts = serverPorts;
  }

  /** Where the others reach the links of a member that listens at `port`. */
  async announced(to: string, port: number): Promise<string> {
    const ports = new Map<string, number>();
    for (const from of this.#ids) {
      if (from === to) continue;
      const proxy = await FreezingProxy.start(port);
      this.#all.push({ from, to, proxy });
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
      this.#all.push({ from, to: undefined, proxy });
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

  [Symbol.dispose](): void {
    for (const front of this.#fronts.values()) front.stop();
    for (const { proxy } of this.#all) proxy[Symbol.dispose]();
  }
}

/** Whether it is a link of this member, in either way. */
export function isOf({ from, to }: MemberLink, id: string): boolean {
  return from === id || to === id;
}

/** What this member says on a link of its own. */
export function wordsOf({ from }: MemberLink, id: string): FrozenDirection {
  return from === id ? "requests" : "replies";
}

/** What is said to this member on a link of its own. */
export function wordsTo({ from }: MemberLink, id: string): FrozenDirection {
  return from === id ? "replies" : "requests";
}
