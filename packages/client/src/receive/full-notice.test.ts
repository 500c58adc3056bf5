import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { limits } from "../limits.ts";
import { FullNotice } from "./full-notice.ts";

const max = limits.heldMessageCountMax;

describe("FullNotice", () => {
  it("tells once each time that nothing more comes, where nobody said how many may be held", () => {
    const codes: string[] = [];
    const notice = new FullNotice("q", (error) => codes.push(error.code));
    for (const count of [max - 1, max, max, max + 1]) notice.update(count, max);
    assert.deepEqual(codes, ["EVH_OVERLOADED"]);
    notice.update(max - 1, max);
    notice.update(max, max);
    assert.equal(codes.length, 2);
    notice.update(max - 1, max);
    notice.update(max, 2 * max);
    notice.update(max, Infinity);
    assert.equal(codes.length, 2);
  });

  it("tells once where the one who is told receives at once", () => {
    let toldCount = 0;
    const notice = new FullNotice("q", () => {
      toldCount += 1;
      if (toldCount < 10) notice.update(max, max);
    });
    notice.update(max, max);
    assert.equal(toldCount, 1);
  });
});
