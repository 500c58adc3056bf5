/** Random programs of changes and watches: on real servers, too, nothing is missed. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Prng } from "@everhold/base";
import type { WatchStream, ZooKeeper } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectTo } from "../support/clients.ts";
import { tellOfServers } from "../support/ground.ts";
import { Ensemble } from "../support/ensemble.ts";

tellOfServers();

const paths = ["/p", "/p/a", "/p/a/x", "/p/b", "/q"] as const;
const changeTypes = ["created", "dataChanged", "deleted"] as const;
const readKinds = ["data", "exists", "children"] as const;

interface Change {
  readonly type: (typeof changeTypes)[number];
  readonly path: string;
}

/** A read with a watch that succeeded when `from` changes had happened. */
interface Shot {
  readonly kind: (typeof readKinds)[number];
  readonly path: string;
  readonly from: number;
  told: number;
}

interface Open {
  readonly watch: WatchStream;
  readonly from: number;
}

/** One program: a client that watches, another one that changes, one step after the other. */
class Program {
  readonly #watching: ZooKeeper;
  readonly #changing: ZooKeeper;
  readonly #prng: Prng;
  readonly #changes: Change[] = [];
  readonly #shots: Shot[] = [];
  readonly #open = new Set<Open>();

  constructor(watching: ZooKeeper, changing: ZooKeeper, prng: Prng) {
    this.#watching = watching;
    this.#changing = changing;
    this.#prng = prng;
  }

  async run(stepCount: number): Promise<void> {
    for (const path of ["/p", "/p/a", "/q"]) await this.#changing.create(path);
    for (let step = 0; step < stepCount; step += 1) await this.#step();
    // What is told comes before the answer to a sync; what is asked for because of that, before the next ones.
    for (let count = 0; count < 3; count += 1) await this.#watching.sync();
    for (const shot of this.#shots) this.#checkShot(shot);
    for (const open of this.#open) await this.#checkOpen(open);
    for (const path of paths.toReversed()) await this.#changing.delete(path, { ifExists: true });
    await this.#watching.sync();
  }

  async #step(): Promise<void> {
    const path = this.#pick(paths);
    const from = this.#changes.length;
    switch (this.#pick(["change", "change", "stay", "read", "close"])) {
      case "change":
        return this.#change({ type: this.#pick(changeTypes), path });
      case "stay": {
        // Twice: what an answer before the first one led to is done with then, too.
        await this.#watching.sync();
        await this.#watching.sync();
        const recursive = this.#pick([true, false]);
        this.#open.add({ watch: await this.#watching.watch(path, { recursive }), from });
        return;
      }
      case "read":
        await this.#watching.sync();
        return this.#read({ kind: this.#pick(readKinds), path, from, told: 0 });
      default: {
        const open = this.#pick([...this.#open, undefined]);
        open?.watch.close();
        if (open !== undefined) this.#open.delete(open);
      }
    }
  }

  async #change(change: Change): Promise<void> {
    const { type, path } = change;
    try {
      if (type === "created") await this.#changing.create(path);
      else if (type === "deleted") await this.#changing.delete(path);
      else await this.#changing.setData(path, "changed");
      this.#changes.push(change);
    } catch {
      // It can't be changed in this way now.
    }
  }

  async #read(shot: Shot): Promise<void> {
    const options = { watch: () => void (shot.told += 1) };
    const { kind, path } = shot;
    try {
      if (kind === "data") await this.#watching.getData(path, options);
      else if (kind === "exists") await this.#watching.exists(path, options);
      else await this.#watching.getChildren(path, options);
      this.#shots.push(shot);
    } catch {
      // No node, no watch.
    }
  }

  #checkShot({ kind, path, from, told }: Shot): void {
    const isConcerned = this.#changes.slice(from).some((change) => {
      if (kind !== "children") return change.path === path;
      return isOfChild(change, path) || (change.path === path && change.type === "deleted");
    });
    assert.equal(told, isConcerned ? 1 : 0, `${kind} of ${path}: ${this.#shown(from)}`);
  }

  async #checkOpen({ watch, from }: Open): Promise<void> {
    watch.close();
    const told: string[] = [];
    for await (const { type, path } of watch) told.push(`${type} ${path}`);
    const expected = this.#changes.slice(from).flatMap((change) => {
      const { type, path } = change;
      const isBelow = watch.recursive && path.startsWith(`${watch.path}/`);
      if (path === watch.path || isBelow) return [`${type} ${path}`];
      const isTold = !watch.recursive && isOfChild(change, watch.path);
      return isTold ? [`childrenChanged ${watch.path}`] : [];
    });
    // What a read's watch catches up with, when the one that stayed beside it is closed, is told here once more.
    let missing = expected;
    for (const one of told) {
      assert.ok(expected.includes(one), `${watch.path} tells ${one}: ${this.#shown(from)}`);
      if (one === missing[0]) missing = missing.slice(1);
    }
    assert.deepEqual(missing, [], `${watch.path} misses them: ${this.#shown(from)}`);
  }

  #shown(from: number): string {
    return this.#changes
      .slice(from)
      .map(({ type, path }) => `${type} ${path}`)
      .join(", ");
  }

  #pick<T>(from: readonly T[]): T {
    const index = this.#prng.uint32() % from.length;
    for (const one of from.slice(index)) return one;
    throw new Error("there is nothing to choose from");
  }
}

/** Whether a child of this path came or went. */
function isOfChild({ type, path }: Change, parent: string): boolean {
  return type !== "dataChanged" && path.slice(0, path.lastIndexOf("/")) === parent;
}

for (const version of zooKeeperVersions) {
  describe(`watches of ZooKeeper ${version} in programs`, () => {
    it("no watch misses a change, and a read's watch tells once, whatever else watches the same path", async () => {
      await using ensemble = await Ensemble.start({ version, size: 1 });
      await using watching = await connectTo(ensemble.connectString);
      await using changing = await connectTo(ensemble.connectString);
      for (let seed = 1; seed <= 100; seed += 1) {
        await new Program(watching, changing, new Prng(seed)).run(25);
      }
    });
  });
}
