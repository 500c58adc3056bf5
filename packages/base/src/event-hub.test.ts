import assert from "node:assert/strict";
import { test } from "node:test";
import { EventHub } from "./event-hub.ts";

type Event = { readonly type: "said" } | { readonly type: "over" };

test("nobody is told of what comes behind the last event", () => {
  const hub = new EventHub<Event>({ last: "over", unreadCountMax: 10 });
  const told: string[] = [];
  const fail = (error: unknown): never => {
    throw error;
  };
  hub.listen(({ type }) => told.push(`first ${type}`));
  hub.emit({ type: "over" }, fail);
  hub.listen(({ type }) => told.push(`late ${type}`));
  hub.emit({ type: "said" }, fail);
  hub.emit({ type: "over" }, fail);
  assert.deepEqual(told, ["first over"]);
});

test("a listener of one type hears of no other, and what its promise rejects with is told", async () => {
  const hub = new EventHub<Event>({ last: "over", unreadCountMax: 10 });
  const told: string[] = [];
  const failed: unknown[] = [];
  const error = new Error("a listener that rejects");
  hub.on("said", ({ type }): unknown => {
    told.push(type);
    return Promise.reject(error);
  });
  const forget = hub.on("over", ({ type }) => void told.push(type));
  hub.emit({ type: "said" }, (thrown) => void failed.push(thrown));
  await new Promise(setImmediate);
  forget();
  hub.emit({ type: "over" }, (thrown) => void failed.push(thrown));
  assert.deepEqual(failed, [error]);
  assert.deepEqual(told, ["said"]);
});
