import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, it } from "node:test";
import { Prng, ProtocolError } from "@everhold/base";
import { typedOutcome } from "@everhold/test-world";
import { ByteWriter } from "@everhold/wire";
import fc from "fast-check";
import {
  type Greeting,
  proofOf,
  readGreeting,
  refusalOf,
  refusals,
  writeGreeting,
} from "./greeting.ts";
import {
  type Answer,
  CalledIntroduction,
  CallerIntroduction,
  checkSelf,
  type Self,
} from "./introduction.ts";
import { limits } from "./limits.ts";

const macs = {
  hmacSha256: (key: Uint8Array, bytes: Uint8Array) =>
    createHmac("sha256", key).update(bytes).digest(),
};
const secret = new TextEncoder().encode("the secret of the group");

function member(id: string, more: Partial<Self> = {}): Self {
  return { groupId: "g", id, secret, ...more };
}

function bytesOf(greeting: Greeting): Uint8Array {
  const writer = new ByteWriter();
  writeGreeting(writer, greeting);
  return writer.toBytes();
}

function ports(seed: number): { macs: typeof macs; random: Prng } {
  return { macs, random: new Prng(seed) };
}

/** What `answer` says to the other side. */
function saidIn(answer: Answer): Uint8Array {
  if (answer.kind === "answer") return bytesOf(answer.greeting);
  if (answer.kind === "known" && answer.greeting !== undefined) return bytesOf(answer.greeting);
  throw new Error(`nothing is said: ${answer.kind}`);
}

/** How a whole conversation ends, for both. */
function conversation(
  caller: Self,
  called: Self,
  wanted = called.id,
): [Answer, Answer | undefined] {
  const near = new CallerIntroduction(ports(1), caller, wanted);
  const far = new CalledIntroduction(ports(2), called);
  const challenge = far.onGreeting(bytesOf(near.call));
  if (challenge.kind !== "answer") return [challenge, undefined];
  const verdict = far.onGreeting(saidIn(near.onGreeting(saidIn(challenge))));
  if (verdict.kind !== "known") return [verdict, undefined];
  return [verdict, near.onGreeting(saidIn(verdict))];
}

function reasonOf(answer: Answer | undefined): string | undefined {
  return answer?.kind === "refuse" ? answer.reason : answer?.kind;
}

const greetings: Greeting[] = [
  { kind: "call", groupId: "g", caller: "a", called: "b", nonce: new Uint8Array(32).fill(1) },
  { kind: "challenge", nonce: new Uint8Array(32).fill(2) },
  { kind: "proof", proof: new Uint8Array(32).fill(3) },
  { kind: "welcome", proof: new Uint8Array(32).fill(4) },
  { kind: "refusal", reason: 5 },
];

describe("what members say to each other before frames", () => {
  it("is read as it was written, and refused when it is short or long", () => {
    for (const greeting of greetings) {
      const bytes = bytesOf(greeting);
      assert.deepEqual(readGreeting(bytes), greeting);
      for (let length = 0; length < bytes.length; length += 1) {
        assert.throws(() => readGreeting(bytes.subarray(0, length)), ProtocolError);
      }
      assert.throws(() => readGreeting(new Uint8Array([...bytes, 0])), ProtocolError);
    }
  });

  it("fits in the bytes that a stranger may send, with the longest names", () => {
    const longest = "\u{ffff}".repeat(limits.nameCharactersMax);
    const call = { ...greetings[0], groupId: longest, caller: longest, called: longest };
    const bytes = bytesOf({ ...call, kind: "call", nonce: new Uint8Array(32) });
    assert.ok(bytes.length + 4 <= limits.greetingBytesMax);
  });

  it("has a number of its own for each reason of a refusal", () => {
    for (const [reason, [number]] of Object.entries(refusals)) {
      assert.equal(refusalOf(number), reason);
    }
    assert.equal(refusalOf(0), undefined);
    assert.equal(refusalOf(200), undefined);
  });
});

describe("the introduction of two members", () => {
  it("tells each who the other one is", () => {
    const [verdict, answer] = conversation(member("a"), member("b"));
    assert.equal(verdict.kind === "known" && verdict.id, "a");
    assert.equal(answer?.kind === "known" && answer.id, "b");
  });

  it("refuses another secret, another group, another member's name and its own", () => {
    const other = new TextEncoder().encode("another secret, as long");
    const reasons = [
      conversation(member("a", { secret: other }), member("b")),
      conversation(member("a", { groupId: "h" }), member("b")),
      conversation(member("a"), member("b"), "c"),
      conversation(member("b"), member("b")),
      conversation(member(""), member("b")),
    ].map(([verdict]) => reasonOf(verdict));
    assert.deepEqual(reasons, ["secret", "group", "name", "name", "name"]);
  });

  it("refuses one who is called and does not know the secret", () => {
    const near = new CallerIntroduction(ports(1), member("a"), "b");
    near.onGreeting(bytesOf({ kind: "challenge", nonce: new Uint8Array(32) }));
    const forged = bytesOf({ kind: "welcome", proof: new Uint8Array(32) });
    assert.equal(reasonOf(near.onGreeting(forged)), "secret");
  });

  it("gives one who is called no proof that it could send back as its own", () => {
    const near = new CallerIntroduction(ports(1), member("a"), "b");
    const answer = near.onGreeting(bytesOf({ kind: "challenge", nonce: new Uint8Array(32) }));
    assert.ok(answer.kind === "answer" && answer.greeting.kind === "proof");
    const { proof } = answer.greeting;
    assert.equal(reasonOf(near.onGreeting(bytesOf({ kind: "welcome", proof }))), "secret");
  });

  it("refuses a conversation that was heard before and is said again", () => {
    const near = new CallerIntroduction(ports(1), member("a"), "b");
    const far = new CalledIntroduction(ports(2), member("b"));
    const call = bytesOf(near.call);
    const proof = saidIn(near.onGreeting(saidIn(far.onGreeting(call))));
    assert.equal(far.onGreeting(proof).kind, "known");
    const later = new CalledIntroduction(ports(3), member("b"));
    later.onGreeting(call);
    assert.equal(reasonOf(later.onGreeting(proof)), "secret");
  });

  it("says nothing that depends on the secret to a caller who has proved nothing", () => {
    const near = new CallerIntroduction(ports(1), member("a"), "b");
    const other = new TextEncoder().encode("another secret, as long");
    const answers = [secret, other].map((each) =>
      new CalledIntroduction(ports(2), member("b", { secret: each })).onGreeting(
        bytesOf(near.call),
      ),
    );
    assert.deepEqual(answers[0], answers[1]);
  });

  it("makes proofs that differ by every part of the conversation, by role and by secret", () => {
    const about = {
      groupId: "g",
      caller: "a",
      called: "b",
      callerNonce: new Uint8Array(32).fill(1),
      calledNonce: new Uint8Array(32).fill(2),
    };
    const nonce = new Uint8Array(32).fill(3);
    const proofs = [
      proofOf(macs, secret, "caller", about),
      proofOf(macs, secret, "called", about),
      proofOf(macs, new Uint8Array(16), "caller", about),
      proofOf(macs, secret, "caller", { ...about, groupId: "ga", caller: "" }),
      proofOf(macs, secret, "caller", { ...about, caller: "ab", called: "" }),
      proofOf(macs, secret, "caller", { ...about, caller: "b", called: "a" }),
      proofOf(macs, secret, "caller", { ...about, callerNonce: nonce }),
      proofOf(macs, secret, "caller", { ...about, calledNonce: nonce }),
    ].map((proof) => Buffer.from(proof).toString("hex"));
    assert.equal(new Set(proofs).size, proofs.length);
  });

  it("refuses another version, whatever follows, and says which it found", () => {
    const call = bytesOf(greetings[0] ?? { kind: "refusal", reason: 0 });
    call[5] = 9;
    const answer = new CalledIntroduction(ports(2), member("b")).onGreeting(call.subarray(0, 6));
    assert.ok(answer.kind === "refuse");
    assert.deepEqual([answer.reason, answer.found], ["version", "version 9"]);
  });

  it("refuses what is said out of turn, and any bytes, without another error", () => {
    const said = fc.oneof(
      fc.constantFrom(...greetings).map(bytesOf),
      fc.uint8Array({ maxLength: 120 }),
    );
    fc.assert(
      fc.property(fc.array(said, { maxLength: 4 }), fc.boolean(), (list, calls) => {
        const side = calls
          ? new CallerIntroduction(ports(1), member("a"), "b")
          : new CalledIntroduction(ports(2), member("b"));
        for (const bytes of list) {
          const answer = typedOutcome(() => side.onGreeting(bytes));
          assert.ok(answer instanceof ProtocolError || answer.kind !== "known");
        }
      }),
    );
  });

  it("is refused to begin with names and secrets that cannot be used", () => {
    checkSelf(member("a"));
    const long = "n".repeat(limits.nameCharactersMax + 1);
    for (const [self, found] of [
      [member(""), "0 characters of the member's name"],
      [member(long), "65 characters of the member's name"],
      [member("a", { groupId: "" }), "0 characters of the group's id"],
      [member("a", { secret: new Uint8Array(15) }), "15 bytes of the group's secret"],
      [member("a", { secret: new Uint8Array(1025) }), "1025 bytes of the group's secret"],
    ] as const) {
      assert.throws(() => checkSelf(self), {
        code: "EVH_CONFIG",
        message: new RegExp(`found ${found}, expected`),
      });
    }
  });
});
