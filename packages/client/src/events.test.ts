import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { EverholdError } from "@everhold/base";
import { connectionEventHub, type ConnectionEvent } from "./events.ts";

const broke: ConnectionEvent = {
  type: "disconnect",
  error: new EverholdError("EVH_DISCONNECTED", "The connection broke"),
  noticed: "end",
};
const closed: ConnectionEvent = { type: "close" };

describe("the listeners of a connection's events", () => {
  it("are each told in order, also of what one of them brings about", () => {
    const hub = connectionEventHub();
    const told: string[] = [];
    hub.listen(({ type }) => {
      if (type === "disconnect") hub.emit(closed, assert.ifError);
    });
    hub.listen(({ type }) => void told.push(type));
    hub.emit(broke, assert.ifError);
    assert.deepEqual(told, ["disconnect", "close"]);
  });

  it("may have rejections, which go where what they throw goes", async () => {
    const hub = connectionEventHub();
    const failure = new Error("rejected");
    hub.listen((): unknown => Promise.reject(failure));
    const failures: unknown[] = [];
    hub.emit(broke, (error) => failures.push(error));
    await setImmediate();
    assert.deepEqual(failures, [failure]);
  });

  it("hear of what comes after they began, and of nothing after they stopped", () => {
    const hub = connectionEventHub();
    const told: string[] = [];
    hub.listen(() => {
      stop();
      hub.listen(({ type }) => void told.push(`new ${type}`));
    });
    const stop = hub.listen(({ type }) => void told.push(`old ${type}`));
    hub.emit(broke, assert.ifError);
    assert.deepEqual(told, []);
    hub.emit(closed, assert.ifError);
    assert.deepEqual(told, ["new close"]);
  });

  it("hurt nobody when they throw", () => {
    const hub = connectionEventHub();
    const told: string[] = [];
    const failures: unknown[] = [];
    const wrong = new Error("wrong");
    hub.listen(() => {
      throw wrong;
    });
    hub.listen(({ type }) => void told.push(type));
    hub.emit(broke, (error) => failures.push(error));
    assert.deepEqual(told, ["disconnect"]);
    assert.deepEqual(failures, [wrong]);
  });

  it("leave readers what they had not read yet when the connection closes", async () => {
    const hub = connectionEventHub();
    const reader = hub.read();
    hub.emit(broke, assert.ifError);
    hub.emit(closed, assert.ifError);
    const read: string[] = [];
    for await (const { type } of reader) read.push(type);
    assert.deepEqual(read, ["disconnect", "close"]);
    for await (const { type } of hub.read()) read.push(type);
    assert.equal(read.length, 2);
  });
});
