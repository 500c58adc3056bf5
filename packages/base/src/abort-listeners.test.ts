import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";

import { listenForAbort } from "./abort-listeners.ts";

describe("listening for an abort", () => {
  it("takes one listener of a signal, however many wait", () => {
    const abort = new AbortController();
    const called: number[] = [];
    for (let index = 0; index < 20; index += 1) {
      listenForAbort(abort.signal, () => void called.push(index));
    }
    assert.equal(getEventListeners(abort.signal, "abort").length, 1);
    abort.abort();
    assert.deepEqual(
      called,
      Array.from({ length: 20 }, (_, index) => index),
    );
  });

  it("calls nobody who has forgotten about it, even meanwhile", () => {
    const abort = new AbortController();
    const called: string[] = [];
    const forgets: (() => void)[] = [];
    listenForAbort(abort.signal, () => {
      called.push("first");
      for (const forget of forgets) forget();
    });
    forgets.push(listenForAbort(abort.signal, () => void called.push("second")));
    listenForAbort(abort.signal, () => void called.push("third"))();
    abort.abort();
    assert.deepEqual(called, ["first"]);
  });

  it("leaves nothing at the signal when nobody waits any longer, and may begin again", () => {
    const { signal } = new AbortController();
    const forgets = [1, 2].map(() => listenForAbort(signal, () => undefined));
    forgets[0]?.();
    forgets[0]?.();
    assert.equal(getEventListeners(signal, "abort").length, 1);
    forgets[1]?.();
    assert.equal(getEventListeners(signal, "abort").length, 0);
    const forget = listenForAbort(signal, () => undefined);
    assert.equal(getEventListeners(signal, "abort").length, 1);
    forget();
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });
});
