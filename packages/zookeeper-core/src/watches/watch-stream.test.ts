import assert from "node:assert/strict";
import { test } from "node:test";
import { operations } from "../protocol/operations.ts";
import type { WatchNotice } from "./watch-request.ts";
import { WatchStream } from "./watch-stream.ts";
import { WatchWorld } from "./watch-world.test-support.ts";

async function openOn(world: WatchWorld, unreadCountMax = 100): Promise<WatchStream> {
  const options = {
    path: "/app/a",
    recursive: true,
    toPath: (serverPath: string) => serverPath.slice("/app".length),
    unreadCountMax,
  };
  const opening = WatchStream.open(world.watches, options, { deadlineMs: Infinity });
  const [stream] = await Promise.all([opening, world.settle()]);
  return stream;
}

function worldWithNode(): WatchWorld {
  const world = new WatchWorld("oneMode");
  world.tree.change("created", "/app");
  world.tree.change("created", "/app/a");
  return world;
}

test("notices are read in order, with the application's paths", async () => {
  const world = worldWithNode();
  const stream = await openOn(world);
  assert.equal(stream.path, "/a");
  world.tree.change("created", "/app/a/b");
  world.tree.change("dataChanged", "/app/a");
  await world.settle();
  world.cut();
  await world.restore(true);
  const read: WatchNotice[] = [];
  for await (const notice of stream) if (read.push(notice) === 3) break;
  assert.deepEqual(read, [
    { type: "created", path: "/a/b", zxid: undefined },
    { type: "dataChanged", path: "/a", zxid: undefined },
    { type: "gap", path: "/a", reason: "sessionChanged" },
  ]);
});

test("who waits is told what comes, and leaving the loop closes the watch", async () => {
  const world = worldWithNode();
  const stream = await openOn(world);
  const reading = (async () => {
    for await (const notice of stream) return notice.type;
    return "end";
  })();
  world.tree.change("dataChanged", "/app/a");
  await world.settle();
  assert.equal(await reading, "dataChanged");
  assert.equal(stream.closed, true);
  await world.settle();
  assert.ok(world.served.includes(operations.removeWatches.code));
});

test("what nobody reads is dropped for one gap, and what comes after it is told", async () => {
  const world = worldWithNode();
  const stream = await openOn(world, 3);
  for (let count = 0; count < 5; count += 1) world.tree.change("dataChanged", "/app/a");
  await world.settle();
  stream.close();
  const read: string[] = [];
  for await (const notice of stream) read.push(notice.type);
  assert.deepEqual(read, ["gap", "dataChanged"]);
});

test("a closed watch is told nothing more, and whoever waits is told that it is over", async () => {
  const world = worldWithNode();
  const stream = await openOn(world);
  const waiting = stream.next();
  stream.close();
  stream.close();
  world.tree.change("dataChanged", "/app/a");
  await world.settle();
  assert.deepEqual(await waiting, { value: undefined, done: true });
  assert.deepEqual(await stream.next(), { value: undefined, done: true });
});

test("the end of the client ends the watch; what came before can still be read", async () => {
  const world = worldWithNode();
  const stream = await openOn(world);
  world.tree.change("dataChanged", "/app/a");
  await world.settle();
  world.watches.onClosed();
  const read: string[] = [];
  for await (const notice of stream) read.push(notice.type);
  assert.deepEqual(read, ["dataChanged"]);
});
