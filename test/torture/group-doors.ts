import { CuttingProxy } from "./cutting-proxy.ts";

/** What of a member is looked at. */
interface Member {
  readonly isServing: boolean;
  /** Where it listens for clients then. */
  readonly port: number;
}

/** How soon a door is open after its member serves. */
const lookMs = 5;

/**
 * The proxies before a group's members, by which clients come. They listen only where a member serves: some clients wait
 * long for who takes a connection and says nothing.
 */
export class GroupDoors {
  readonly proxies: readonly CuttingProxy[];
  readonly #open = new Set<CuttingProxy>();
  #watch: NodeJS.Timeout | undefined;
  /** The last that happened to any of them. */
  #moving: Promise<void> = Promise.resolve();

  private constructor(proxies: readonly CuttingProxy[]) {
    this.proxies = proxies;
  }

  static async make(count: number): Promise<GroupDoors> {
    const proxies: CuttingProxy[] = [];
    while (proxies.length < count) proxies.push(await CuttingProxy.start());
    return new GroupDoors(proxies);
  }

  get urls(): readonly string[] {
    return this.proxies.map(({ port }) => `tcp://127.0.0.1:${port}`);
  }

  /** From now on each does as its member does. */
  watch(members: readonly Member[]): void {
    this.#watch = setInterval(() => {
      for (const [index, member] of members.entries()) {
        const proxy = this.proxies[index];
        if (proxy === undefined || member.isServing === this.#open.has(proxy)) continue;
        if (member.isServing) this.#accept(proxy, member.port);
        else this.close(index);
      }
    }, lookMs);
  }

  /** Nobody is let in any more; connections that are open end with those of the member. */
  close(index: number): void {
    const proxy = this.proxies[index];
    if (proxy === undefined) return;
    this.#open.delete(proxy);
    this.#moving = this.#moving.then(() => proxy.listenNoMore());
  }

  async stop(): Promise<void> {
    clearInterval(this.#watch);
    await this.#moving;
    for (const proxy of this.proxies) proxy.stop();
  }

  #accept(proxy: CuttingProxy, port: number): void {
    this.#open.add(proxy);
    this.#moving = this.#moving
      .then(() => proxy.accept(port))
      // It is tried again at the next look.
      .catch(() => void this.#open.delete(proxy));
  }
}
