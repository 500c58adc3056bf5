import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng, ProtocolError } from "@everhold/base";
import { ByteReader, type Field } from "@everhold/wire";
import fc from "fast-check";
import { typedOutcome } from "@everhold/test-world";
import { valueOf } from "../testing/arbitraries.test-support.ts";
import { bytesOf, valueIn } from "../testing/bytes.test-support.ts";
import { connectRequest, connectResponse, readHandshakeReply } from "./handshake.ts";
import { replyHeader, requestHeader } from "./headers.ts";
import { operations, type OperationOf } from "./operations.ts";
import { stat } from "./stat.ts";
import { watcherEvent } from "./watch-events.ts";

const fields: readonly (readonly [string, Field<unknown>])[] = [
  ["requestHeader", requestHeader],
  ["replyHeader", replyHeader],
  ["connectRequest", connectRequest],
  ["connectResponse", connectResponse],
  ["stat", stat],
  ["watcherEvent", watcherEvent],
  ...Object.entries<OperationOf<unknown, unknown>>(operations).flatMap(
    ([name, { request, reply }]) =>
      [
        [`${name} request`, request],
        [`${name} reply`, reply],
      ] as const,
  ),
];

for (const [name, field] of fields) {
  test(`a ${name} is read as it was written`, () => {
    fc.assert(
      fc.property(valueOf(field), (value) => {
        assert.deepEqual(valueIn(field, bytesOf(field, value)), value);
      }),
      { numRuns: 60 },
    );
  });
}

test("what is cut anywhere is refused, or is whole without its optional end", () => {
  for (const [name, field] of fields) {
    const [value] = fc.sample(valueOf(field), { numRuns: 1, seed: 7 });
    const bytes = bytesOf(field, value);
    for (let length = 0; length < bytes.length; length += 1) {
      const cut = bytes.slice(0, length);
      const outcome = typedOutcome(() => valueIn(field, cut));
      const isWhole = name.startsWith("connect") && length === bytes.length - 1;
      assert.equal(outcome instanceof ProtocolError, !isWhole, `${name} cut after ${length}`);
    }
  }
});

test("no bytes make a decoder fail otherwise than with a typed error", (context) => {
  const seed = Number(process.env["EVERHOLD_FUZZ_SEED"] ?? Date.now() % 0x1_0000_0000);
  context.diagnostic(`seed ${seed}; repeat with EVERHOLD_FUZZ_SEED=${seed}`);
  const random = new Prng(seed);
  const good = fields.map(([, field]) => {
    const [value] = fc.sample(valueOf(field), { numRuns: 1, seed });
    return bytesOf(field, value);
  });
  for (let round = 0; round < 4000; round += 1) {
    const index = random.integer(0, fields.length - 1);
    const bytes = badBytes(random, good[index] ?? new Uint8Array(0));
    const [, field] =
      fields[random.chance(0.8) ? index : random.integer(0, fields.length - 1)] ?? [];
    assert.ok(field !== undefined);
    typedOutcome(() => field.read(new ByteReader(bytes), 0));
    typedOutcome(() => readHandshakeReply(new ByteReader(bytes)));
  }
});

/** Random bytes, or good ones with a few changed or cut: those reach further. */
function badBytes(random: Prng, good: Uint8Array): Uint8Array {
  if (random.chance(0.2)) {
    const bytes = new Uint8Array(random.integer(0, 100));
    random.fill(bytes);
    return bytes;
  }
  const bytes = good.slice(0, random.chance(0.3) ? random.integer(0, good.length) : good.length);
  for (let change = random.integer(0, 4); change > 0 && bytes.length > 0; change -= 1) {
    const value = random.pick([0x00, 0x01, 0x7f, 0x80, 0xff, random.integer(0, 255)]);
    bytes[random.integer(0, bytes.length - 1)] = value;
  }
  return bytes;
}
