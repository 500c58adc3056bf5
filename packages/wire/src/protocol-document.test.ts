import assert from "node:assert/strict";
import { test } from "node:test";
import { limitNotes, limits } from "./limits.ts";
import type { PacketDefinition } from "./packet.ts";
import { packets } from "./packets/packets.ts";
import { protocolDocument } from "./protocol-document.ts";

test("the document names every packet and every field", () => {
  const document = protocolDocument();
  for (const definition of Object.values<PacketDefinition>(packets)) {
    assert.ok(
      document.includes(
        `| ${definition.id} | ${definition.id.toString(16).padStart(2, "0")} | ${definition.name} |`,
      ),
    );
    for (const field of Object.keys(definition.body.fields)) {
      assert.ok(document.includes(`${field} \``), `${definition.name}.${field}`);
    }
  }
});

test("every limit has a reason and says what happens when it is hit", () => {
  assert.deepEqual(Object.keys(limitNotes), Object.keys(limits));
});
