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
