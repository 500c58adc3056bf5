import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "@everhold/base";
import fc from "fast-check";
import type { ServerKind } from "../../watches/watch-tree.test-support.ts";
import { turn, WatchWorld } from "../../watches/watch-world.test-support.ts";
import { CacheUpkeep } from "./cache-upkeep.ts";
import { CacheView, type CachedNode } from "./cache-view.ts";

const paths = ["/a", "/a/b", "/a/b/c", "/a/d", "/e"] as const;

const change = fc.record({
  type: fc.constantFrom("created" as const, "dataChanged" as const, "deleted" as const),
  path: fc.constantFrom(...paths),
});

const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("send" as const) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("serve" as const) }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant("receive" as const) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("change" as const), change }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("settle" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("reconnect" as const),
      sessionChanged: fc.boolean(),
      missed: fc.array(change, { maxLength: 4 }),
    }),
  },
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What tells a node's states apart. */
type State = string | undefined;

interface Scope {
  readonly path: string;
  readonly depth: number;
}

/** A cache on one server, and a naive model: the tree as it was after every transaction. */
class Run {
  readonly world: WatchWorld;
  readonly scope: Scope;
  readonly view: CacheView;
  readonly upkeep: CacheUpkeep;
  /** What whoever follows the events believes. */
  readonly told = new Map<string, State>();
  readonly history: { readonly zxid: bigint; readonly states: ReadonlyMap<string, State> }[] = [];
  syncedCount = 0;
  broken: unknown;

  constructor(kind: ServerKind, scope: Scope) {
    this.world = new WatchWorld(kind);
    this.scope = scope;
    this.view = new CacheView({ shows: () => true, nodeCountMax: 100, bytesMax: 10_000 });
    const { depth, path } = scope;
    this.upkeep = new CacheUpkeep(
      {
        ports: {
          monotonicClock: { nowMs: () => 0 },
          timers: {
            after: (_delayMs, task) => {
              setImmediate(task);
              return { cancel: () => undefined };
            },
            atTurnEnd: (task) => queueMicrotask(task),
          },
          random: new Prng(1),
        },
        send: (spec) => this.world.requests.request(spec, { deadlineMs: Infinity }),
        serverPath: (one) => one,
        callerPath: (one) => one,
      },
      { path, depth, enters: () => true },
      this.view,
      {
        onChange: (one) => {
          const at = one.type === "deleted" ? one.before.path : one.node.path;
          const before = one.type === "created" ? undefined : stateOf(one.before);
          assert.equal(this.told.get(at), before, "each event fits the one before it");
          this.told.set(at, one.type === "deleted" ? undefined : stateOf(one.node));
        },
        onGap: () => undefined,
        onSynced: () => void (this.syncedCount += 1),
        onFailed: () => undefined,
        onBroken: (error) => {
          this.broken = error;
        },
      },
    );
    for (const at of ["/a", "/a/b"]) this.#change("created", at);
    this.#start().catch((error: unknown) => {
      this.broken = error;
    });
  }

  async do(one: Step): Promise<void> {
    const { world } = this;
    if (one.do === "send") world.send();
    else if (one.do === "serve") world.serve();
    else if (one.do === "receive") world.receive();
    else if (one.do === "change") this.#change(one.change.type, one.change.path);
    else if (one.do === "settle") await world.settle();
    else await this.#reconnect(one.sessionChanged, one.missed);
    await turn();
    this.check();
  }

  /** What must hold at any time. */
  check(): void {
    if (this.broken !== undefined) throw this.broken;
    for (const path of paths) assert.equal(this.told.get(path), this.#shown(path));
    const { zxid } = this.upkeep.generation;
    if (zxid === 0n) return;
    const since = this.history.filter((one) => one.zxid >= zxid);
    const asOf = this.history.findLast((one) => one.zxid <= zxid);
    assert.ok(asOf !== undefined);
    const possible = since[0]?.zxid === zxid ? since : [asOf, ...since];
    for (const path of paths.filter((one) => this.#isInScope(one))) {
      const shown = this.#shown(path);
      const isPossible = possible.some(({ states }) => states.get(path) === shown);
      assert.ok(isPossible, `${path} is shown as ${shown}, older than generation ${zxid}`);
      if (!this.upkeep.isSettled) continue;
      assert.equal(shown, asOf.states.get(path), `${path} in the exact generation ${zxid}`);
    }
  }

  /** Everything arrives, over a connection that stands. */
  async finish(): Promise<void> {
    for (let rest = 0; rest < 100; rest += 1) await this.world.settle();
    this.check();
    assert.ok(this.upkeep.isSettled);
    assert.ok(this.syncedCount > 0);
    const last = this.history.at(-1)?.states;
    for (const path of paths) {
      const expected = this.#isInScope(path) ? last?.get(path) : undefined;
      assert.equal(this.#shown(path), expected, path);
    }
    assert.deepEqual(this.world.errors, []);
  }

  async #start(): Promise<void> {
    const { path, depth } = this.scope;
    const watcher = {
      path,
      recursive: depth > 0,
      onNotice: (notice: Parameters<CacheUpkeep["onNotice"]>[0]) => this.upkeep.onNotice(notice),
      onEnd: () => undefined,
    };
    for (;;) {
      try {
        await this.world.watches.add(watcher, { deadlineMs: Infinity });
        break;
      } catch {
        // The connection broke.
      }
    }
    this.upkeep.begin();
  }

  #change(type: "created" | "dataChanged" | "deleted", path: string): void {
    const { tree } = this.world;
    tree.change(type, path);
    const states = new Map<string, State>();
    for (const [at, { czxid, mzxid }] of tree.nodes) states.set(at, `${czxid} ${mzxid}`);
    this.history.push({ zxid: tree.zxid, states });
  }

  async #reconnect(
    sessionChanged: boolean,
    missed: readonly { readonly type: "created" | "dataChanged" | "deleted"; path: string }[],
  ): Promise<void> {
    this.world.cut();
    await turn();
    const half = missed.length >> 1;
    for (const { type, path } of missed.slice(0, half)) this.#change(type, path);
    const later = missed.slice(half);
    await this.world.restore(sessionChanged, () => {
      const next = later.shift();
      if (next !== undefined) this.#change(next.type, next.path);
    });
  }

  #shown(path: string): State {
    const node = this.view.get(path);
    return node === undefined ? undefined : stateOf(node);
  }

  #isInScope(path: string): boolean {
    const { path: root, depth } = this.scope;
    if (path !== root && root !== "/" && !path.startsWith(`${root}/`)) return false;
    const parts = (one: string): number => (one === "/" ? 0 : one.split("/").length - 1);
    return parts(path) - parts(root) <= depth;
  }
}

function stateOf({ stat }: CachedNode): string {
  return `${stat.czxid} ${stat.mzxid}`;
}

for (const kind of ["first", "oneMode", "manyModes"] as const) {
  test(`a cache is what its generation says, whatever happens in which order (${kind})`, async () => {
    const scope = fc.constantFrom<Scope[]>(
      { path: "/", depth: Infinity },
      { path: "/a", depth: Infinity },
      { path: "/a", depth: 1 },
      { path: "/a/b", depth: 0 },
    );
    await fc.assert(
      fc.asyncProperty(
        scope,
        fc.array(step, { minLength: 20, maxLength: 90, size: "max" }),
        async (where, program) => {
          const run = new Run(kind, where);
          for (const one of program) await run.do(one);
          await run.finish();
        },
      ),
      { numRuns: 200 },
    );
  });
}
