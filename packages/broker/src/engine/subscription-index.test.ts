import assert from "node:assert/strict";
import { test } from "node:test";

import type { TypedValue } from "@everhold/wire";
import fc from "fast-check";

import { parseFilter, type Selector } from "../selector/selector.ts";
import { messageOf } from "../testing/test-client.test-support.ts";
import { SubscriptionIndex } from "./subscription-index.ts";

interface Queue {
  readonly name: string;
  selector: Selector | undefined;
}

const texts = [
  null,
  "type = 'x'",
  "'y' = type",
  "type IN ('x', 'z')",
  "type NOT IN ('x', 'z')",
  "type = 'x' OR type = 'z'",
  "type = 'x' OR size = 1",
  "type = 'x' AND size > 1",
  "size = 1 AND type = 'x'",
  "size = 1L",
  "size = 1.0",
  "size = 16777216",
  "size = 16777217",
  "size = 2 AND (flag OR type = 'x')",
  "flag",
  "flag AND size = 0",
  "flag = TRUE",
  "flag = FALSE AND type = 'x'",
  "NOT type = 'x'",
  "type = other",
  "type = 'x' AND type = 'z'",
  "type IS NULL",
  "convert_string_expressions:size = 1",
  "AMQPriority = 4",
  "JMSDeliveryMode = 'PERSISTENT' AND type = 'z'",
];

const values: fc.Arbitrary<TypedValue> = fc.oneof(
  fc.constantFrom("x", "y", "z", "1").map((value) => ({ type: "string" as const, value })),
  fc.boolean().map((value) => ({ type: "boolean" as const, value })),
  fc
    .tuple(
      fc.constantFrom("int" as const, "long" as const, "float" as const, "double" as const),
      fc.constantFrom(0, 1, 2, 16_777_216),
    )
    .map(([type, value]): TypedValue => ({ type, value })),
  fc.constantFrom(2n ** 53n + 1n, 16_777_217n).map((value) => ({ type: "long" as const, value })),
  fc.constant({ type: "double" as const, value: -0 }),
  fc.constant({ type: "double" as const, value: Number.NaN }),
  fc.constant({ type: "bytes" as const, value: new Uint8Array(1) }),
);
const messages = fc.dictionary(fc.constantFrom("type", "size", "flag", "other"), values);

const steps = fc.oneof(
  fc.record({ does: fc.constant("add" as const), at: fc.nat(9), text: fc.constantFrom(...texts) }),
  fc.record({ does: fc.constant("remove" as const), at: fc.nat(9) }),
  fc.record({ does: fc.constant("send" as const), properties: messages }),
);

test("the index finds the queues that asking each one finds, while queues come, change and go", () => {
  fc.assert(
    fc.property(fc.array(steps, { minLength: 10, maxLength: 60 }), (program) => {
      const index = new SubscriptionIndex<Queue>();
      const queues = new Map<number, Queue>();
      for (const step of program) {
        if (step.does === "add") {
          const queue = queues.get(step.at) ?? { name: `q${step.at}`, selector: undefined };
          queue.selector = parseFilter(step.text);
          queues.set(step.at, queue);
          index.add(queue);
        } else if (step.does === "remove") {
          const queue = queues.get(step.at);
          if (queue !== undefined) index.remove(queue);
          queues.delete(step.at);
        } else {
          const bytes = messageOf("a", { properties: step.properties });
          const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
          const expected = [...queues.values()].filter(
            ({ selector }) => selector?.matches(bytes, view, 0, bytes.length) !== false,
          );
          const found = index.select(bytes, view, 0, bytes.length);
          assert.deepEqual(
            found.map(({ name }) => name).sort(),
            expected.map(({ name }) => name).sort(),
          );
        }
      }
    }),
    { numRuns: 500 },
  );
});

test("of a thousand selectors with one equality each only those that may be true are asked", () => {
  let asked = 0;
  const index = new SubscriptionIndex<Queue>();
  for (let number = 0; number < 1_000; number += 1) {
    const selector = parseFilter(`region = 'eu' AND type = 't${number}' AND size > 1`);
    assert.ok(selector !== undefined);
    const isTrueFor = selector.isTrueFor.bind(selector);
    selector.isTrueFor = (message) => {
      asked += 1;
      return isTrueFor(message);
    };
    index.add({ name: `q${number}`, selector });
  }
  const bytes = messageOf("a", {
    properties: {
      region: { type: "string", value: "eu" },
      type: { type: "string", value: "t7" },
      size: { type: "int", value: 2 },
    },
  });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const found = index.select(bytes, view, 0, bytes.length);
  assert.deepEqual(
    found.map(({ name }) => name),
    ["q7"],
  );
  // The first one stands under the region, for then both names told as much.
  assert.ok(asked <= 2, `${asked} were asked`);
});

test("queues with the same selector are asked once", () => {
  let asked = 0;
  const index = new SubscriptionIndex<Queue>();
  for (let number = 0; number < 100; number += 1) {
    const selector = parseFilter("size > 1");
    assert.ok(selector !== undefined);
    const isTrueFor = selector.isTrueFor.bind(selector);
    selector.isTrueFor = (message) => {
      asked += 1;
      return isTrueFor(message);
    };
    index.add({ name: `q${number}`, selector });
  }
  const bytes = messageOf("a", { properties: { size: { type: "int", value: 2 } } });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  assert.equal(index.select(bytes, view, 0, bytes.length).length, 100);
  assert.equal(asked, 1);
});
