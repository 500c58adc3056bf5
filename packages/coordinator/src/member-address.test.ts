import assert from "node:assert/strict";
import { test } from "node:test";
import { EverholdError } from "@everhold/base";
import { limits } from "./limits.ts";
import { decodeMemberAddress, encodeMemberAddress } from "./member-address.ts";

const address = {
  replica: { id: "anna", incarnation: "a1" },
  replication: "10.0.0.1:6000",
  clients: "10.0.0.1:61616",
};
const fields = { format: 1, ...address.replica, replication: "a:1", clients: "a:2" };

test("an address is read as it was written", () => {
  const bytes = encodeMemberAddress(address);
  assert.deepEqual(decodeMemberAddress(bytes), address);
  assert.deepEqual(JSON.parse(new TextDecoder().decode(bytes)), {
    ...{ format: 1, id: "anna", incarnation: "a1" },
    ...{ replication: "10.0.0.1:6000", clients: "10.0.0.1:61616" },
  });
});

const long = "x".repeat(limits.addressCharactersMax + 1);
const refusals: Readonly<Record<string, readonly [unknown, RegExp]>> = {
  "another format": [{ ...fields, format: 2 }, /format: found 2, expected 1/],
  "no format": [{ ...fields, format: undefined }, /format: found nothing, expected 1/],
  "a field that nobody knows": [{ ...fields, port: 1 }, /fields: found port, expected format, id/],
  "no id": [{ ...fields, id: undefined }, /id: found nothing, expected a text of 1 to/],
  "an empty incarnation": [{ ...fields, incarnation: "" }, /incarnation: found 0 characters/],
  "a number": [{ ...fields, clients: 61616 }, /clients: found a number, expected a text/],
  "a long address": [{ ...fields, replication: long }, /replication: found 256 characters/],
  "a list": [[], /data: found a list, expected an object/],
  nothing: [null, /data: found null, expected an object/],
  "too much": [{ ...fields, more: "x".repeat(limits.memberBytesMax) }, /at most 2048/],
};

for (const [what, [content, message]] of Object.entries(refusals)) {
  test(`a member's node with ${what} is refused, by what was found`, () => {
    const bytes = new TextEncoder().encode(JSON.stringify(content));
    assert.throws(() => decodeMemberAddress(bytes), hasFormatError(message));
  });
}

test("a member's node without JSON is refused, and so is an address that could not be read again", () => {
  for (const bytes of [null, new Uint8Array(0), Uint8Array.of(0xff), Uint8Array.of(0x7b)]) {
    assert.throws(() => decodeMemberAddress(bytes), hasFormatError(/found no JSON/));
  }
  assert.throws(
    () => encodeMemberAddress({ ...address, clients: long }),
    hasFormatError(/clients/),
  );
});

function hasFormatError(message: RegExp): (error: unknown) => boolean {
  return (error) => EverholdError.is(error, "EVH_NODE_FORMAT") && message.test(error.message);
}
