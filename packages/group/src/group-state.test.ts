import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ProtocolError } from "@everhold/base";
import fc from "fast-check";
import { decodeGroupState, encodeGroupState, type GroupState } from "./group-state.ts";

const text = fc.string({ minLength: 1, maxLength: 64 });
const replica = fc.record({ id: text, incarnation: text }, { noNullPrototype: true });
const states: fc.Arbitrary<GroupState> = fc.record(
  {
    groupId: text,
    epoch: fc.nat({ max: 0xffff_ffff }),
    live: fc.option(replica),
    inSync: fc.uniqueArray(replica, { minLength: 1, maxLength: 16, selector: ({ id }) => id }),
    minInSync: fc.integer({ min: 1, max: 16 }),
    epochStart: fc.maxSafeNat(),
    features: fc.nat({ max: 0xffff_ffff }),
    unclean: fc.boolean(),
  },
  { noNullPrototype: true },
);

const sound = {
  format: 1,
  groupId: "g",
  epoch: 3,
  live: { id: "a", incarnation: "a1" },
  inSync: [{ id: "a", incarnation: "a1" }],
  minInSync: 1,
  epochStart: 4096,
  features: 1,
  unclean: false,
};

describe("the group's state in ZooKeeper", () => {
  it("is read as it was written", () => {
    fc.assert(
      fc.property(states, (state) => {
        assert.deepEqual(decodeGroupState(encodeGroupState(state)), state);
      }),
    );
  });

  it("is exactly these bytes", () => {
    const written = `{"format":1,"groupId":"g","epoch":3,"live":{"id":"a","incarnation":"a1"},"inSync":[{"id":"a","incarnation":"a1"}],"minInSync":1,"epochStart":4096,"features":1,"unclean":false}`;
    assert.equal(
      new TextDecoder().decode(encodeGroupState(decodeGroupState(bytesOf(sound)))),
      written,
    );
  });

  const refusals: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
    ["a newer format", { format: 2 }, /format: found 2, expected 1/],
    ["an unknown field", { quorum: 2 }, /fields: found quorum, expected format, groupId/],
    ["no in-sync member", { inSync: [] }, /inSync: found 0 members, expected 1 to 16/],
    ["one member twice", { inSync: [sound.live, sound.live] }, /inSync: found a twice/],
    ["no member as a live", { live: "a" }, /live: found a string, expected an object/],
    ["an epoch too high", { epoch: 2 ** 32 }, /epoch: found 4294967296, expected .* to 4294967295/],
    ["a number as a flag", { unclean: 1 }, /unclean: found a number, expected true or false/],
    ["a fraction of an epoch", { epoch: 1.5 }, /epoch: found 1.5, expected an integer from 0/],
    ["a minimum of none", { minInSync: 0 }, /minInSync: found 0, expected an integer from 1/],
    ["no name", { groupId: "" }, /groupId: found 0 characters, expected a text of 1 to 64/],
    ["a missing field", { epochStart: undefined }, /epochStart: found nothing, expected/],
  ];
  for (const [what, change, message] of refusals) {
    it(`refuses ${what}`, () => {
      assert.throws(() => decodeGroupState(bytesOf({ ...sound, ...change })), isRefusal(message));
    });
  }

  it("refuses what is no JSON, no object, or too long", () => {
    const decode = (bytes: Uint8Array) => () => decodeGroupState(bytes);
    assert.throws(decode(new Uint8Array([0xff])), isRefusal(/found no JSON/));
    assert.throws(decode(bytesOf([])), isRefusal(/found a list, expected an object/));
    assert.throws(decode(new Uint8Array(20_000)), isRefusal(/found 20000 bytes, expected at most/));
  });
});

function bytesOf(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function isRefusal(message: RegExp): (error: unknown) => boolean {
  return (error) =>
    ProtocolError.is(error, "EVH_PROTOCOL") &&
    message.test(error.message) &&
    error.message.startsWith("cannot read the group's state");
}
