import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TraceDetails } from "@everhold/env";
import { clientChannels, connectionChannel, NodeTracing } from "./diagnostics.ts";

describe("what clients tell", () => {
  const tracing = new NodeTracing();

  it("is told to nobody while nobody listens", () => {
    assert.equal(tracing.watches("send"), false);
  });

  it("is told at its beginning and its end, with one object, and runs inside of what a listener gives", async () => {
    const told: string[] = [];
    const seen = new Set<TraceDetails>();
    const note = (what: string) => (details: TraceDetails) => {
      told.push(`${what} ${details.destination}`);
      seen.add(details);
    };
    const subscribers = {
      start: (details: TraceDetails) => {
        note("start")(details);
        details.within = (work) => {
          told.push("inside");
          return work();
        };
      },
      end: note("end"),
      asyncStart: note("asyncStart"),
      asyncEnd: note("asyncEnd"),
      error: note("error"),
    };
    clientChannels.send.subscribe(subscribers);
    assert.deepEqual([tracing.watches("send"), tracing.watches("receive")], [true, false]);
    const done = tracing.trace("send", { destination: "orders" }, () => {
      told.push("work");
      return Promise.resolve("done");
    });
    assert.deepEqual(told, ["start orders", "inside", "work", "end orders"]);
    assert.equal(await done, "done");
    assert.deepEqual(told.splice(0).slice(4), ["asyncStart orders", "asyncEnd orders"]);
    assert.equal(seen.size, 1);

    const failure = new Error("no");
    const failed = tracing.trace("send", { destination: "bills" }, () => Promise.reject(failure));
    await assert.rejects(failed, failure);
    const ends = ["end bills", "error bills", "asyncStart bills", "asyncEnd bills"];
    assert.deepEqual(told, ["start bills", "inside", ...ends]);
    assert.deepEqual(
      [...seen].map(({ error }) => error),
      [undefined, failure],
    );
    clientChannels.send.unsubscribe(subscribers);
    assert.equal(tracing.watches("send"), false);
  });

  it("tell what happens to connections to whoever listens", () => {
    const heard: unknown[] = [];
    const listener = (told: unknown): void => void heard.push(told);
    const told = { destination: "tcp://a:1", event: { type: "reconnect" } };
    tracing.tell(told);
    connectionChannel.subscribe(listener);
    tracing.tell(told);
    connectionChannel.unsubscribe(listener);
    tracing.tell(told);
    assert.deepEqual(heard, [told]);
  });
});
