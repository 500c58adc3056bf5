import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { newCopy, type Copy } from "./model.ts";
import { Operation } from "./operation.ts";
import { findDeadlocked } from "./room-rules.ts";

const fullness = { maxSizeBytes: 3_000, policy: "block" } as const;

function copyOf(id: string, place: Copy["place"], born: readonly Operation[] = []): Copy {
  const message = {
    id,
    address: "first",
    color: undefined,
    size: undefined,
    priority: 4,
    durable: true,
    expiresMs: 0,
    dueMs: 0,
    group: undefined,
    key: undefined,
    bodyChars: 5_000,
    duplicate: undefined,
  };
  const order = { begin: 0, end: Infinity, stream: "", number: 0, isBlock: true };
  return { ...newCopy(message, "first", order, born), place };
}

/** Somebody who commits what was acknowledged and what was sent, which has not left. */
function committer(taken: Copy, sending = new Operation("send m2")) {
  const end = new Operation("transaction 1");
  const sent = copyOf("m2", "unborn", [sending, end]);
  const acks = [{ copy: taken, operation: new Operation("acknowledge m1") }];
  const client = { committing: { end, sends: [sent], acks, isBroken: false } };
  return { client, sent };
}

describe("a commit that waits for room", () => {
  it("waits for itself when all that is there was acknowledged in it", () => {
    const taken = copyOf("m1", "hidden");
    const { client, sent } = committer(taken);
    assert.equal(findDeadlocked([client], [taken, sent], fullness), client);
  });

  it("and when two commits wait for each other", () => {
    const first = copyOf("m1", "hidden");
    const second = copyOf("m3", "hidden");
    const one = committer(first);
    const other = committer(second);
    const clients = [one.client, other.client];
    assert.equal(findDeadlocked(clients, [first, second, one.sent], fullness), one.client);
  });

  it("is not excused while anything else is there", () => {
    const taken = copyOf("m1", "hidden");
    const { client, sent } = committer(taken);
    for (const other of [copyOf("m3", "ready"), copyOf("m3", "held"), copyOf("m3", "hidden")]) {
      assert.equal(findDeadlocked([client], [taken, sent, other], fullness), undefined);
    }
  });

  it("is not excused where there is room, or when its sends have left", () => {
    const taken = copyOf("m1", "hidden");
    const { client, sent } = committer(taken);
    for (const other of [
      { ...fullness, maxSizeBytes: -1 },
      { ...fullness, maxSizeBytes: 30_000 },
      { ...fullness, policy: "drop" as const },
    ]) {
      assert.equal(findDeadlocked([client], [taken, sent], other), undefined);
    }
    const sending = new Operation("send m2");
    sending.end("applied");
    const done = committer(taken, sending);
    assert.equal(findDeadlocked([done.client], [taken, done.sent], fullness), undefined);
  });
});
