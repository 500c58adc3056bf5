import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parentOf } from "../protocol/paths.ts";
import type { WatchNotice, WatchRequest } from "./watch-request.ts";
import type { Change, ServerKind } from "./watch-tree.test-support.ts";
import { turn, WatchWorld, type Read } from "./watch-world.test-support.ts";
import type { StandingWatch } from "./watches.ts";

const paths = ["/a", "/a/b", "/a/b/c", "/a/d", "/e"] as const;

const path = fc.constantFrom("/", ...paths);

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("send" as const) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("serve" as const) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("receive" as const) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("change" as const),
      type: fc.constantFrom("created" as const, "dataChanged" as const, "deleted" as const),
      path: fc.constantFrom(...paths),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("read" as const),
      kind: fc.constantFrom("data" as const, "exists" as const, "children" as const),
      path,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("stay" as const), recursive: fc.boolean(), path }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("close" as const), index: fc.nat({ max: 20 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("takeBack" as const), index: fc.nat({ max: 20 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("reconnect" as const),
      sessionChanged: fc.boolean(),
      /** Changes while nothing is connected, and between the parts of what restores. */
      missed: fc.array(
        fc.record({
          type: fc.constantFrom("created" as const, "dataChanged" as const, "deleted" as const),
          path: fc.constantFrom(...paths),
        }),
        { maxLength: 4 },
      ),
    }),
  },
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A watch that tells once, and what the test knows of it. */
interface OneShot {
  readonly kind: WatchRequest["kind"];
  readonly path: string;
  told: number;
  read: Read | undefined;
  /** How often connections had broken, or watches been removed, when it was read. */
  breaksBefore: number;
  readonly owner: object;
  isTakenBack: boolean;
}

/** A watch that stays, and what the test knows of it. */
interface Staying {
  readonly path: string;
  readonly recursive: boolean;
  watch: StandingWatch | undefined;
  isClosed: boolean;
  /** Each change after this one must have been told of. */
  sinceZxid: bigint;
  readonly told: { readonly zxid: bigint; readonly text: string }[];
}

/** A run of a program. */
class Run {
  readonly world: WatchWorld;
  readonly oneShots: OneShot[] = [];
  readonly staying: Staying[] = [];
  breaks = 0;

  constructor(kind: ServerKind) {
    this.world = new WatchWorld(kind, 60);
  }

  async do(one: Step): Promise<void> {
    const { world } = this;
    switch (one.do) {
      case "send":
        world.send();
        break;
      case "serve":
        world.serve();
        break;
      case "receive":
        world.receive();
        break;
      case "change":
        world.tree.change(one.type, one.path);
        break;
      case "read":
        this.#read(one.kind, one.path);
        break;
      case "stay":
        this.#stay(one.path, one.recursive);
        break;
      case "close":
        this.#close(one.index);
        break;
      case "takeBack":
        this.#takeBack(one.index);
        break;
      case "reconnect":
        await this.#reconnect(one.sessionChanged, one.missed);
        break;
    }
    await turn();
  }

  /** Everything arrives, over a connection that stands. */
  async finish(): Promise<void> {
    await this.world.settle();
  }

  #read(kind: OneShot["kind"], at: string): void {
    const { world } = this;
    const one: OneShot = {
      kind,
      path: at,
      told: 0,
      read: undefined,
      breaksBefore: this.breaks,
      owner: {},
      isTakenBack: false,
    };
    this.oneShots.push(one);
    const onEvent = (): void => {
      assert.ok(!one.isTakenBack, "what was taken back tells nothing");
      one.told += 1;
    };
    world.read(at, { kind, onEvent, owner: one.owner }).then(
      (read) => {
        one.read = read;
      },
      () => undefined,
    );
  }

  #stay(at: string, recursive: boolean): void {
    const { world } = this;
    const one: Staying = {
      path: at,
      recursive,
      watch: undefined,
      isClosed: false,
      sinceZxid: 0n,
      told: [],
    };
    const onNotice = (notice: WatchNotice): void => {
      assert.ok(!one.isClosed, "a closed watch tells nothing");
      if (notice.type === "gap") {
        one.told.length = 0;
        one.sinceZxid = world.tree.zxid;
        return;
      }
      assert.ok(world.telling !== undefined);
      if (world.telling.isCatchUp) return;
      one.told.push({ zxid: world.telling.changeZxid, text: `${notice.type} ${notice.path}` });
    };
    const watcher = { path: at, recursive, onNotice, onEnd: () => undefined };
    world.watches.add(watcher, { deadlineMs: Infinity }).then(
      (watch) => {
        one.watch = watch;
        one.sinceZxid = world.tree.zxid;
        this.staying.push(one);
      },
      () => undefined,
    );
  }

  #close(index: number): void {
    const one = this.staying[index % Math.max(1, this.staying.length)];
    if (one === undefined || one.isClosed) return;
    one.isClosed = true;
    one.watch?.close();
    this.breaks += 1;
  }

  #takeBack(index: number): void {
    const { watches } = this.world;
    const one = this.oneShots[index % Math.max(1, this.oneShots.length)];
    if (one === undefined || !watches.removeOnce(one.path, one.owner)) return;
    assert.ok(!watches.hasOnce(one.path, one.owner));
    one.isTakenBack = true;
    // Who reads there meanwhile is watched for again, and then a node that came and went is not told of.
    this.breaks += 1;
  }

  async #reconnect(
    sessionChanged: boolean,
    missed: readonly Pick<Change, "type" | "path">[],
  ): Promise<void> {
    const { tree } = this.world;
    this.breaks += 1;
    this.world.cut();
    await turn();
    const half = missed.length >> 1;
    for (const { type, path: at } of missed.slice(0, half)) tree.change(type, at);
    const later = missed.slice(half);
    await this.world.restore(sessionChanged, () => {
      const next = later.shift();
      if (next !== undefined) tree.change(next.type, next.path);
    });
  }
}

/** What a watch that stays is to be told of a change; as the server says it, of the node before its parent. */
function tellings(one: Pick<Staying, "path" | "recursive">, change: Change): string[] {
  const told = `${change.type} ${change.path}`;
  if (one.recursive) {
    const below = one.path === "/" ? "/" : `${one.path}/`;
    return change.path === one.path || change.path.startsWith(below) ? [told] : [];
  }
  if (change.path === one.path) return [told];
  if (change.type === "dataChanged" || parentOf(change.path) !== one.path) return [];
  return [`childrenChanged ${one.path}`];
}

/** Whether a change is one that a watch that tells once waits for. */
function concerns(one: OneShot, change: Change): boolean {
  if (change.path === one.path) {
    if (one.kind === "children") return change.type === "deleted";
    return true;
  }
  return (
    one.kind === "children" && change.type !== "dataChanged" && parentOf(change.path) === one.path
  );
}

function checkOneShot(run: Run, one: OneShot): void {
  if (one.isTakenBack) return;
  const { read } = one;
  if (read === undefined)
    return assert.equal(one.told, 0, "a watch that is not there tells nothing");
  const { tree } = run.world;
  const changes = tree.changes.filter(({ zxid }) => zxid > read.zxid);
  const concerning = changes.filter((change) => concerns(one, change));
  const node = tree.nodes.get(one.path);
  const isDifferent =
    one.kind === "children"
      ? node?.czxid !== read.node?.czxid || node?.pzxid !== read.node?.pzxid
      : node?.czxid !== read.node?.czxid || node?.mzxid !== read.node?.mzxid;
  const wasBroken = run.breaks > one.breaksBefore;
  const shown = `${one.kind} watch of ${one.path} read at ${read.zxid}`;
  assert.ok(one.told <= 1, `${shown} told ${one.told} times`);
  if (isDifferent || (concerning.length > 0 && !wasBroken)) {
    assert.equal(
      one.told,
      1,
      `${shown} did not tell of ${concerning.map(({ type, path: at }) => `${type} ${at}`).join()}`,
    );
  }
  // Where one watch that stays gives way to another, or one is taken back while another is asked for, those whom it served may be made to look again; what the server
  // tells of a child then reaches those who watch the children.
  const isNear = (at: string): boolean =>
    at === one.path || (one.kind === "children" && at !== "/" && parentOf(at) === one.path);
  const gaveWay =
    run.staying.some((other) => other.isClosed && isNear(other.path)) ||
    run.oneShots.some((other) => other.isTakenBack && isNear(other.path));
  if (concerning.length === 0 && !gaveWay) assert.equal(one.told, 0, `${shown} told of nothing`);
}

function checkStaying(run: Run, one: Staying): void {
  if (one.isClosed) return;
  const expected = run.world.tree.changes
    .filter(({ zxid }) => zxid > one.sinceZxid)
    .flatMap((change) => tellings(one, change));
  const told = one.told.filter(({ zxid }) => zxid > one.sinceZxid).map(({ text }) => text);
  assert.deepEqual(told, expected, `${one.recursive ? "recursive" : "plain"} watch of ${one.path}`);
}

for (const kind of ["first", "oneMode", "manyModes"] as const) {
  test(`no watch misses or doubles a change, whatever happens in which order (${kind})`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 20, maxLength: 90, size: "max" }),
        async (program) => {
          const run = new Run(kind);
          for (const at of ["/a", "/a/b", "/e"]) run.world.tree.change("created", at);
          for (const one of program) await run.do(one);
          await run.finish();
          assert.deepEqual(run.world.errors, []);
          for (const one of run.oneShots) checkOneShot(run, one);
          for (const one of run.staying) checkStaying(run, one);
        },
      ),
      { numRuns: 300 },
    );
  });
}
