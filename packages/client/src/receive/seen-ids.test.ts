import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { limits } from "../limits.ts";
import { SeenIds } from "./seen-ids.ts";

describe("what the application has had", () => {
  it("comes again counted once, in the life after the one in which it was had", () => {
    const seen = new SeenIds();
    seen.noteUntold(7);
    assert.equal(seen.countOf(7, 1), 1);
    seen.onAttached();
    assert.deepEqual([...seen.unknown()], []);
    assert.equal(seen.countOf(8, 1), 1);
    assert.equal(seen.countOf(7, 1), 2);
    assert.equal(seen.countOf(7, 1), 1);
  });

  it("keeps a count of the broker's that is higher", () => {
    const seen = new SeenIds();
    seen.noteReturned(7);
    assert.equal(seen.countOf(7, 5), 5);
  });

  it("is told of before what went back, where a transaction had it whose end nobody heard", () => {
    const seen = new SeenIds();
    seen.noteAcknowledged(1);
    seen.onCommitting();
    seen.noteAcknowledged(2);
    seen.noteUntold(3);
    assert.deepEqual([...seen.unknown()], [3, 1, 2]);
    seen.onDetached();
    assert.deepEqual(seen.untold, [1, 2, 3]);
  });

  it("is forgotten with the commit that took effect, and with the transaction that was rolled back", () => {
    const seen = new SeenIds();
    seen.noteAcknowledged(1);
    seen.onCommitting();
    seen.onCommitted();
    seen.noteAcknowledged(2);
    seen.forgetTransaction();
    assert.deepEqual([...seen.unknown()], []);
  });

  it("is bounded where a transaction acknowledges without end: the newest stay", () => {
    const seen = new SeenIds();
    const count = 2 * limits.unheardAckCountMax;
    for (let id = 0; id < count; id += 1) seen.noteAcknowledged(id);
    const left = [...seen.unknown()];
    assert.ok(left.length <= limits.unheardAckCountMax);
    assert.equal(left.at(-1), count - 1);
  });
});
