import assert from "node:assert/strict";
import { test } from "node:test";
import { operations } from "../protocol/operations.ts";
import type { WatchNotice, WatchRequest } from "./watch-request.ts";
import { WatchWorld, turn } from "./watch-world.test-support.ts";
import type { ServerKind } from "./watch-tree.test-support.ts";
import type { StandingWatch } from "./watches.ts";

const serverKinds: readonly ServerKind[] = ["first", "oneMode", "manyModes"];

/** What was told, as "type path". */
type Told = string[];

function watchInto(told: Told, kind: WatchRequest["kind"]): WatchRequest {
  return { kind, onEvent: ({ type, path }) => told.push(`${type} ${path}`) };
}

async function readInto(
  world: WatchWorld,
  told: Told,
  kind: WatchRequest["kind"],
  path: string,
): Promise<void> {
  const reading = world.read(path, watchInto(told, kind));
  await world.settle();
  await reading;
}

async function stayInto(
  world: WatchWorld,
  told: Told,
  path: string,
  recursive: boolean,
): Promise<StandingWatch> {
  const onNotice = (notice: WatchNotice): void => {
    const why = notice.type === "gap" ? ` ${notice.reason}` : "";
    told.push(`${notice.type} ${notice.path}${why}`);
  };
  const onEnd = (): void => void told.push("end");
  const adding = world.watches.add({ path, recursive, onNotice, onEnd }, { deadlineMs: Infinity });
  const [staying] = await Promise.all([adding, world.settle()]);
  return staying;
}

function countOf(world: WatchWorld, code: number): number {
  return world.served.filter((served) => served === code).length;
}

test("there is room for so many watches, and for more when some are gone", async () => {
  const world = new WatchWorld("oneMode", undefined, 3);
  const told: Told = [];
  for (const path of ["/a", "/c"]) world.tree.change("created", path);
  await readInto(world, told, "data", "/a");
  await readInto(world, told, "data", "/a");
  const staying = await stayInto(world, told, "/b", false);
  assert.throws(() => world.watches.checkRoom("/c"), { code: "EVH_OVERLOADED" });
  staying.close();
  world.watches.checkRoom("/c");
  await readInto(world, told, "children", "/c");
  assert.throws(() => world.watches.checkRoom("/c"), { code: "EVH_OVERLOADED" });
  world.tree.change("dataChanged", "/a");
  await world.settle();
  world.watches.checkRoom("/c");
});

test("a watch by getData tells once, of the first change", async () => {
  const world = new WatchWorld("oneMode");
  world.tree.change("created", "/a");
  const told: Told = [];
  await readInto(world, told, "data", "/a");
  world.tree.change("dataChanged", "/a");
  world.tree.change("dataChanged", "/a");
  await world.settle();
  assert.deepEqual(told, ["dataChanged /a"]);
  assert.deepEqual(world.watches.counts, { oneShotPaths: 0, standing: 0 });
});

test("a watch by exists on a missing node tells of its creation", async () => {
  const world = new WatchWorld("oneMode");
  const told: Told = [];
  await readInto(world, told, "exists", "/a");
  world.tree.change("created", "/a");
  await world.settle();
  assert.deepEqual(told, ["created /a"]);
});

test("a read that finds no node leaves no watch", async () => {
  const world = new WatchWorld("oneMode");
  const told: Told = [];
  const reading = world.read("/a", watchInto(told, "data"));
  await Promise.all([world.settle(), assert.rejects(reading, { reason: "NONODE" })]);
  assert.equal(world.watches.counts.oneShotPaths, 0);
  world.tree.change("created", "/a");
  await world.settle();
  assert.deepEqual(told, []);
});

test("a deletion ends the watches of all kinds at a path", async () => {
  const world = new WatchWorld("oneMode");
  world.tree.change("created", "/a");
  const told: Told = [];
  await readInto(world, told, "data", "/a");
  await readInto(world, told, "exists", "/a");
  await readInto(world, told, "children", "/a");
  world.tree.change("deleted", "/a");
  await world.settle();
  assert.deepEqual(told, ["deleted /a", "deleted /a", "deleted /a"]);
  assert.equal(world.watches.counts.oneShotPaths, 0);
});

test("one owner's watch on one path is told once however often it was set", async () => {
  const world = new WatchWorld("oneMode");
  world.tree.change("created", "/a");
  const told: Told = [];
  const watch = watchInto(told, "data");
  for (let count = 0; count < 50; count += 1) {
    const reading = world.read("/a", watch);
    await world.settle();
    await reading;
  }
  await readInto(world, told, "data", "/a");
  world.tree.change("dataChanged", "/a");
  await world.settle();
  assert.deepEqual(told, ["dataChanged /a", "dataChanged /a"]);
});

test("a callback that throws hurts nobody else, and is reported", async () => {
  const world = new WatchWorld("oneMode");
  world.tree.change("created", "/a");
  const failure = new Error("thrown by a callback");
  const reading = world.read("/a", {
    kind: "data",
    onEvent: () => {
      throw failure;
    },
  });
  await world.settle();
  await reading;
  const told: Told = [];
  await readInto(world, told, "data", "/a");
  await stayInto(world, told, "/a", false);
  world.tree.change("dataChanged", "/a");
  await world.settle();
  assert.deepEqual(told, ["dataChanged /a", "dataChanged /a"]);
  assert.deepEqual(world.errors, [failure]);
});

test("notifications of other types and of paths that nobody watches are let be", async () => {
  const world = new WatchWorld("oneMode");
  const told: Told = [];
  await stayInto(world, told, "/", true);
  for (const type of [-1, 0, 5, 6, 7, 99, -2_000_000_000]) {
    world.watches.onNotification({ type, state: 3, path: "/a", zxid: undefined });
  }
  world.watches.onNotification({ type: 3, state: 3, path: "", zxid: undefined });
  world.watches.onNotification({ type: 3, state: 3, path: "no path", zxid: undefined });
  assert.deepEqual(told, []);
});

test("a path without end costs as many steps as the longest path that is watched has", async () => {
  const world = new WatchWorld("oneMode");
  const told: Told = [];
  await stayInto(world, told, "/a", true);
  const path = "/".repeat(4_000_000);
  world.watches.onNotification({ type: 3, state: 3, path, zxid: undefined });
  assert.deepEqual(told, []);
});

for (const kind of serverKinds) {
  test(`a watch that stays and one that tells once serve the same path (${kind})`, async () => {
    const world = new WatchWorld(kind);
    world.tree.change("created", "/a");
    const staying: Told = [];
    const once: Told = [];
    await stayInto(world, staying, "/a", false);
    await readInto(world, once, "data", "/a");
    for (let count = 0; count < 3; count += 1) world.tree.change("dataChanged", "/a");
    await world.settle();
    assert.deepEqual(staying, ["dataChanged /a", "dataChanged /a", "dataChanged /a"]);
    assert.deepEqual(once, ["dataChanged /a"]);
  });

  test(`plain and recursive watches on one path each hear their own, once (${kind})`, async () => {
    const world = new WatchWorld(kind);
    world.tree.change("created", "/a");
    const once: Told = [];
    const plain: Told = [];
    const recursive: Told = [];
    await readInto(world, once, "children", "/a");
    await stayInto(world, plain, "/a", false);
    await stayInto(world, recursive, "/a", true);
    world.tree.change("created", "/a/b");
    world.tree.change("created", "/a/b/c");
    world.tree.change("dataChanged", "/a/b/c");
    world.tree.change("deleted", "/a/b/c");
    world.tree.change("dataChanged", "/a");
    world.tree.change("deleted", "/a/b");
    await world.settle();
    assert.deepEqual(once, ["childrenChanged /a"]);
    assert.deepEqual(plain, ["childrenChanged /a", "dataChanged /a", "childrenChanged /a"]);
    assert.deepEqual(recursive, [
      "created /a/b",
      "created /a/b/c",
      "dataChanged /a/b/c",
      "deleted /a/b/c",
      "dataChanged /a",
      "deleted /a/b",
    ]);
  });

  test(`a recursive watch tells those who wait for children at its path (${kind})`, async () => {
    const world = new WatchWorld(kind);
    world.tree.change("created", "/a");
    const told: Told = [];
    await stayInto(world, [], "/a", true);
    await readInto(world, told, "children", "/a");
    world.tree.change("created", "/a/b");
    await world.settle();
    assert.deepEqual(told, ["childrenChanged /a"]);
  });

  test(`who still waits when the last watch that stays is closed misses nothing (${kind})`, async () => {
    const world = new WatchWorld(kind);
    world.tree.change("created", "/a");
    const told: Told = [];
    const staying = await stayInto(world, [], "/a", true);
    await readInto(world, told, "data", "/a");
    await readInto(world, told, "children", "/a");
    staying.close();
    await world.settle();
    assert.equal(countOf(world, operations.removeWatches.code), 1);
    assert.deepEqual(told, []);
    world.tree.change("created", "/a/b");
    world.tree.change("dataChanged", "/a");
    await world.settle();
    assert.deepEqual(told, ["childrenChanged /a", "dataChanged /a"]);
  });

  test(`a change between the removal and the asking again is told of (${kind})`, async () => {
    const world = new WatchWorld(kind);
    world.tree.change("created", "/a");
    const told: Told = [];
    const staying = await stayInto(world, [], "/a", false);
    await readInto(world, told, "data", "/a");
    staying.close();
    world.send();
    world.serve();
    world.tree.change("dataChanged", "/a");
    await world.settle();
    assert.deepEqual(told, ["dataChanged /a"]);
  });

  test(`a change at that time is told of, too, where the connection breaks before the asking (${kind})`, async () => {
    const world = new WatchWorld(kind);
    world.tree.change("created", "/a");
    const told: Told = [];
    const staying = await stayInto(world, [], "/a", true);
    await readInto(world, told, "children", "/a");
    staying.close();
    world.send();
    world.tree.change("created", "/a/b");
    world.serve();
    while (world.lastZxid < world.tree.zxid) world.receive();
    await turn();
    world.cut();
    await turn();
    await world.restore(false);
    assert.deepEqual(told, ["childrenChanged /a"]);
  });

  test(`a connection that breaks while what tells once is asked for again tells nobody (${kind})`, async () => {
    const world = new WatchWorld(kind);
    world.tree.change("created", "/a");
    const told: Told = [];
    const staying = await stayInto(world, [], "/a", false);
    await readInto(world, told, "data", "/a");
    staying.close();
    while (world.pending[0] > 0) world.send();
    world.cut();
    await turn();
    await world.restore(false);
    await world.settle();
    assert.deepEqual(told, []);
    world.tree.change("dataChanged", "/a");
    await world.settle();
    assert.deepEqual(told, ["dataChanged /a"]);
  });

  test(`a watch opened again behind the removal of the one before stands (${kind})`, async () => {
    const world = new WatchWorld(kind);
    world.tree.change("created", "/a");
    const before = await stayInto(world, [], "/a", false);
    before.close();
    const told: Told = [];
    await stayInto(world, told, "/a", false);
    world.tree.change("dataChanged", "/a");
    world.tree.change("dataChanged", "/a");
    await world.settle();
    assert.deepEqual(told, ["dataChanged /a", "dataChanged /a"]);
  });

  test(`a reconnect brings everything back and tells what changed meanwhile (${kind})`, async () => {
    const world = new WatchWorld(kind);
    for (const path of ["/a", "/b", "/c"]) world.tree.change("created", path);
    const once: Told = [];
    const staying: Told = [];
    await readInto(world, once, "data", "/a");
    await readInto(world, once, "exists", "/d");
    await readInto(world, once, "children", "/b");
    await readInto(world, once, "data", "/c");
    await stayInto(world, staying, "/a", false);
    await stayInto(world, staying, "/b", true);
    world.cut();
    world.tree.change("dataChanged", "/a");
    world.tree.change("created", "/d");
    world.tree.change("created", "/b/x");
    await world.restore(false);
    assert.deepEqual(once, ["dataChanged /a", "created /d", "childrenChanged /b"]);
    assert.deepEqual(staying.slice(-2), ["gap /a reconnected", "gap /b reconnected"]);
    staying.length = 0;
    world.tree.change("deleted", "/c");
    world.tree.change("dataChanged", "/a");
    world.tree.change("deleted", "/b/x");
    await world.settle();
    assert.equal(once.at(-1), "deleted /c");
    assert.deepEqual(staying, ["dataChanged /a", "deleted /b/x"]);
  });
}

test("another session begins with all watches, and those that stay hear that it is another", async () => {
  const world = new WatchWorld("oneMode");
  world.tree.change("created", "/a");
  world.tree.change("created", "/b");
  const told: Told = [];
  await readInto(world, told, "data", "/a");
  await readInto(world, told, "data", "/b");
  await stayInto(world, told, "/", true);
  world.cut();
  world.tree.change("deleted", "/a");
  world.tree.change("created", "/a");
  const restored = await world.restore(true);
  assert.deepEqual(restored, { watchCount: 3 });
  assert.ok(told.includes("dataChanged /a"));
  assert.equal(told.at(-1), "gap / sessionChanged");
  told.length = 0;
  world.tree.change("dataChanged", "/b");
  await world.settle();
  assert.deepEqual(told, ["dataChanged /b", "dataChanged /b"]);
});

test("twenty thousand watches come back in parts, those that tell once first", async () => {
  const world = new WatchWorld("oneMode");
  const told: Told = [];
  const readings: Promise<unknown>[] = [];
  for (let index = 0; index < 20_000; index += 1) {
    readings.push(world.read(`/node-${index}`, watchInto(told, "exists")));
  }
  await world.settle();
  await Promise.all(readings);
  await stayInto(world, told, "/node-7", false);
  world.served.length = 0;
  world.requestBytesMax = 0;
  world.cut();
  await world.restore(false);
  assert.ok(world.requestBytesMax <= 128 * 1024, `${world.requestBytesMax} bytes`);
  const { setWatches, setWatches2 } = operations;
  assert.ok(countOf(world, setWatches.code) > 1);
  assert.equal(world.served.indexOf(setWatches2.code), world.served.length - 1);
  told.length = 0;
  for (let index = 0; index < 20_000; index += 1) world.tree.change("created", `/node-${index}`);
  await world.settle();
  assert.equal(told.length, 20_001);
});

test("a connection that breaks while watches come back is followed by one that brings back all", async () => {
  const world = new WatchWorld("oneMode");
  world.tree.change("created", "/a");
  const told: Told = [];
  await readInto(world, told, "data", "/a");
  await stayInto(world, told, "/a", false);
  world.cut();
  await assert.rejects(
    world.restore(false, () => world.cut()),
    { code: "EVH_DISCONNECTED" },
  );
  await world.restore(false);
  assert.deepEqual(told, ["gap /a reconnected"]);
  world.tree.change("dataChanged", "/a");
  await world.settle();
  assert.deepEqual(told, ["gap /a reconnected", "dataChanged /a", "dataChanged /a"]);
});

test("what is answered before a connection breaks that brings watches back hides no change from the others", async () => {
  const world = new WatchWorld("oneMode");
  world.tree.change("created", "/a");
  const told: Told = [];
  await readInto(world, told, "data", "/a");
  world.cut();
  const breaking = world.restore(false, () => {
    world.tree.change("dataChanged", "/a");
    world.lastZxid = world.tree.zxid;
    world.cut();
  });
  await assert.rejects(breaking, { code: "EVH_DISCONNECTED" });
  await world.restore(false);
  assert.deepEqual(told, ["dataChanged /a"]);
});

test("the server is asked to remove a watch when the last of several at a path is closed", async () => {
  const world = new WatchWorld("oneMode");
  const one = await stayInto(world, [], "/a", false);
  const other = await stayInto(world, [], "/a", false);
  assert.equal(countOf(world, operations.addWatch.code), 1);
  one.close();
  one.close();
  await world.settle();
  assert.equal(countOf(world, operations.removeWatches.code), 0);
  other.close();
  await world.settle();
  assert.equal(countOf(world, operations.removeWatches.code), 1);
  assert.deepEqual(world.watches.counts, { oneShotPaths: 0, standing: 0 });
});

test("a watch that tells once and is taken back tells nothing, and leaves nothing on the server", async () => {
  const world = new WatchWorld("oneMode");
  world.tree.change("created", "/a");
  const told: Told = [];
  const watch = watchInto(told, "data");
  await readInto(world, told, "children", "/a");
  const reading = world.read("/a", watch);
  await world.settle();
  await reading;
  const { watches } = world;
  assert.equal(watches.removeOnce("/a", watch.onEvent, "children"), false);
  assert.equal(watches.hasOnce("/a", watch.onEvent, "data"), true);
  assert.equal(watches.removeOnce("/a", watch.onEvent, "data"), true);
  assert.equal(watches.hasOnce("/a", watch.onEvent), false);
  assert.equal(watches.removeOnce("/a", watch.onEvent), false);
  await world.settle();
  world.tree.change("dataChanged", "/a");
  await world.settle();
  assert.deepEqual([told, countOf(world, operations.removeWatches.code)], [[], 0]);
  world.tree.change("created", "/a/b");
  await world.settle();
  assert.deepEqual(told, ["childrenChanged /a"]);
  const again = world.read("/a", watch);
  await world.settle();
  await again;
  assert.equal(watches.removeOnce("/a", watch.onEvent), true);
  await world.settle();
  assert.equal(countOf(world, operations.removeWatches.code), 1);
  assert.deepEqual(watches.counts, { oneShotPaths: 0, standing: 0 });
  world.tree.change("dataChanged", "/a");
  assert.deepEqual(world.pending, [0, 0, 0]);
});

test("a read that is under way when another's watch is taken back is watched for", async () => {
  const world = new WatchWorld("oneMode");
  world.tree.change("created", "/a");
  const told: Told = [];
  const before = watchInto([], "data");
  const first = world.read("/a", before);
  await world.settle();
  await first;
  const reading = world.read("/a", watchInto(told, "data"));
  world.send();
  world.watches.removeOnce("/a", before.onEvent);
  world.send();
  world.serve();
  world.serve();
  world.tree.change("dataChanged", "/a");
  await world.settle();
  await reading;
  assert.deepEqual(told, ["dataChanged /a"]);
});

test("a read that is under way behind two removals is watched for, though the first is answered", async () => {
  const world = new WatchWorld("oneMode");
  world.tree.change("created", "/a");
  const told: Told = [];
  const [one, two] = [watchInto([], "data"), watchInto([], "data")];
  const first = world.read("/a", one);
  await world.settle();
  await first;
  const second = world.read("/a", two);
  world.send();
  world.watches.removeOnce("/a", one.onEvent);
  world.send();
  // The answers come in the order of the requests: the one of the first removal behind that of the second read.
  const third = world.read("/a", watchInto(told, "data"));
  world.send();
  world.serve();
  world.receive();
  world.watches.removeOnce("/a", two.onEvent);
  while (world.pending[0] > 0) world.send();
  world.serve();
  world.receive();
  await turn();
  await world.settle();
  await Promise.all([second, third]);
  world.tree.change("dataChanged", "/a");
  await world.settle();
  assert.deepEqual(told, ["dataChanged /a"]);
});

test("a thousand watches closed at once are removed a few at a time, all of them", async () => {
  const world = new WatchWorld("oneMode");
  const staying: StandingWatch[] = [];
  for (let index = 0; index < 1000; index += 1) {
    staying.push(await stayInto(world, [], `/node-${index}`, false));
  }
  for (const watch of staying) watch.close();
  assert.ok(world.pending[0] <= 32, `${world.pending[0]} requests`);
  await world.settle();
  assert.equal(countOf(world, operations.removeWatches.code), 1000);
});

test("a watch that the server refuses leaves nothing, and who relied on it is watched for", async () => {
  const world = new WatchWorld("oneMode");
  world.tree.change("created", "/a");
  const told: Told = [];
  world.refusals.set(operations.addWatch.code, -102);
  const staying = stayInto(world, told, "/a", false);
  const reading = world.read("/a", watchInto(told, "data"));
  world.send();
  world.send();
  await Promise.all([world.settle(), reading, assert.rejects(staying, { code: "EVH_SECURITY" })]);
  await world.settle();
  assert.deepEqual(world.watches.counts, { oneShotPaths: 1, standing: 0 });
  world.tree.change("dataChanged", "/a");
  await world.settle();
  assert.deepEqual(told, ["dataChanged /a"]);
});

test("a watch whose answer is lost is not there, and nothing is left of it", async () => {
  const world = new WatchWorld("oneMode");
  const told: Told = [];
  const adding = stayInto(world, told, "/a", false);
  world.send();
  world.serve();
  world.cut();
  await assert.rejects(adding, { code: "EVH_DISCONNECTED", outcome: "unknown" });
  await world.restore(false);
  await world.settle();
  assert.equal(countOf(world, operations.setWatches2.code), 0);
  world.tree.change("created", "/a");
  await world.settle();
  assert.deepEqual(told, []);
});

test("who gives up while the watch is asked for is told nothing, and it is taken away", async () => {
  const world = new WatchWorld("oneMode");
  const giveUp = new AbortController();
  const told: Told = [];
  const watcher = {
    path: "/a",
    recursive: false,
    onNotice: () => void told.push("notice"),
    onEnd: () => void told.push("end"),
  };
  const adding = world.watches.add(watcher, { deadlineMs: Infinity, signal: giveUp.signal });
  world.send();
  giveUp.abort();
  await assert.rejects(adding, { code: "EVH_ABORTED", outcome: "unknown" });
  await world.settle();
  assert.equal(countOf(world, operations.removeWatches.code), 1);
  world.tree.change("created", "/a");
  await world.settle();
  assert.deepEqual(told, []);
});

test("who gives up before the request left leaves nothing to send", async () => {
  const world = new WatchWorld("oneMode");
  const giveUp = new AbortController();
  const watcher = {
    path: "/a",
    recursive: false,
    onNotice: () => undefined,
    onEnd: () => undefined,
  };
  const adding = world.watches.add(watcher, { deadlineMs: Infinity, signal: giveUp.signal });
  giveUp.abort();
  await assert.rejects(adding, { code: "EVH_ABORTED", outcome: "none" });
  await world.settle();
  assert.deepEqual(world.served, []);
});

test("a removal that fails is tried again when next something happens", async () => {
  const world = new WatchWorld("oneMode");
  const staying = await stayInto(world, [], "/a", false);
  world.refusals.set(operations.removeWatches.code, -127);
  staying.close();
  await world.settle();
  assert.equal(world.errors.length, 1);
  world.tree.change("created", "/a");
  await world.settle();
  assert.equal(countOf(world, operations.removeWatches.code), 2);
});

test("the end of the client ends every watch, once", async () => {
  const world = new WatchWorld("oneMode");
  const told: Told = [];
  await readInto(world, told, "exists", "/a");
  await stayInto(world, told, "/a", true);
  world.watches.onClosed();
  world.watches.onClosed();
  assert.deepEqual(told, ["closed /a", "end"]);
  assert.deepEqual(world.watches.counts, { oneShotPaths: 0, standing: 0 });
  const watcher = {
    path: "/b",
    recursive: false,
    onNotice: () => undefined,
    onEnd: () => undefined,
  };
  await assert.rejects(world.watches.add(watcher, { deadlineMs: Infinity }), {
    code: "EVH_CLOSED",
  });
  await turn();
});
