import { Prng } from "@everhold/base";
import {
  Counter,
  EverholdError,
  GroupMember,
  LeaderLatch,
  Mutex,
  NodeCache,
  type ConnectOptions,
  type WatchStream,
  type ZooKeeper,
} from "@everhold/zookeeper";

import { connectTo, leaseTiming } from "./clients.ts";
import { until } from "./until.ts";

/** Short enough that faults end sessions and requests. */
const brief: ConnectOptions = { sessionTimeout: 6000, requestTimeout: 15_000 };

const nodeCount = 50;

/** A client with one of each thing that lives long, which makes and gives back what does not. */
export class SoakUser implements AsyncDisposable {
  readonly client: ZooKeeper;
  /** Calls that did what was asked, and those that faults ended or servers refused. */
  readonly calls = { done: 0, failed: 0 };
  readonly #servers: string;
  readonly #random: Prng;
  readonly #cache: NodeCache;
  readonly #member: GroupMember;
  readonly #latch: LeaderLatch;
  #watch: WatchStream | undefined;

  private constructor(client: ZooKeeper, servers: string, id: number) {
    this.client = client;
    this.#servers = servers;
    this.#random = new Prng(id);
    this.#cache = new NodeCache(client, "/soak/tree");
    this.#member = new GroupMember(client, "/soak/group", `member-${id}`);
    this.#latch = new LeaderLatch(client, "/soak/leaders", { id: `${id}`, ...leaseTiming });
  }

  static async start(servers: string, id: number): Promise<SoakUser> {
    const user = new SoakUser(await connectTo(servers, brief), servers, id);
    try {
      await user.client.hold(`/soak/held/${id}`, `${id}`, { parents: true });
      await user.#cache.start();
      await user.#member.start();
      user.#latch.start();
      user.#watch = await user.client.watch("/soak/tree", { recursive: true });
    } catch (error) {
      await user[Symbol.asyncDispose]();
      throw error;
    }
    user.#readWatch(user.#watch).catch((error: unknown) => {
      throw error;
    });
    return user;
  }

  /** Works at random until it is told to stop. */
  async work(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      try {
        await this.#doOne();
        this.calls.done += 1;
      } catch (error) {
        // A node may be there or not, and faults end calls; what nobody expects is neither.
        if (!EverholdError.is(error) || error.code === "EVH_INTERNAL") throw error;
        this.calls.failed += 1;
      }
    }
  }

  /** Returns when it is connected and what lives long is there again. */
  async settle(userCount: number): Promise<void> {
    await until("the client is connected", () => this.client.state === "connected" || undefined);
    await this.#cache.fresh();
    await until(
      "all members are known",
      () => this.#member.members().size === userCount || undefined,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch?.close();
    this.#cache.close();
    await this.#latch.close();
    await this.#member.close();
    await this.client.close();
  }

  async #doOne(): Promise<unknown> {
    const node = `/soak/tree/${this.#random.integer(0, nodeCount - 1)}`;
    const { client } = this;
    switch (this.#random.integer(0, 9)) {
      case 0:
        return client.create(node, "made", { parents: true });
      case 1:
        return client.delete(node);
      case 2:
      case 3:
        return client.setData(node, `${this.#random.uint32()}`);
      case 4:
      case 5:
        return client.getData(node, { watch: () => undefined });
      case 6: {
        await using watch = await client.watch(node);
        return await client.exists(watch.closed ? node : `${node}/below`);
      }
      case 7:
        return new Counter(client, "/soak/counter").add(1n);
      case 8: {
        const lock = new Mutex(client, "/soak/lock", leaseTiming);
        return lock.run(() => client.sync(), { timeout: 5000 });
      }
      default: {
        const brisk = { ...brief, connectTimeout: 5000 };
        await using passing = await connectTo(this.#servers, brisk);
        return await passing.exists(node, { watch: () => undefined });
      }
    }
  }

  /** Until it is closed. */
  async #readWatch(watch: WatchStream): Promise<void> {
    for (let isDone = false; !isDone;) ({ done: isDone = false } = await watch.next());
  }
}

/** Tells all that wait for one change of a node in the tree, so that no watch of theirs is left. */
export async function touchAll(client: ZooKeeper): Promise<void> {
  for (let index = 0; index < nodeCount; index += 1) {
    const node = `/soak/tree/${index}`;
    if ((await client.exists(node, { fresh: true })) === null) await client.create(node, "");
    await client.setData(node, "touched");
    await client.delete(node);
  }
}
