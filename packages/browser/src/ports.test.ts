import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deflateSync } from "node:zlib";
import { EverholdError } from "@everhold/base";
import { browserPorts } from "./ports.ts";

describe("the ports of a browser", () => {
  const ports = browserPorts();

  it("inflate what a sender compressed, up to a bound", () => {
    const bytes = new Uint8Array(200_000).map((_, index) => index % 251);
    const packed = deflateSync(bytes);
    assert.deepEqual(ports.compression?.inflate(packed, bytes.length), bytes);
    assert.equal(ports.compression?.inflate(packed, bytes.length - 1), undefined);
    assert.throws(() => ports.compression?.inflate(Uint8Array.of(1, 2, 3), 100), EverholdError);
  });

  it("fill any length with randomness", () => {
    for (const length of [0, 1, 65_536, 65_537, 200_000]) {
      const bytes = new Uint8Array(length);
      ports.random.fill(bytes);
      if (length > 1000) assert.ok(bytes.subarray(-100).some((byte) => byte !== 0));
    }
    const numbers = new Set(Array.from({ length: 3000 }, () => ports.random.uint32()));
    assert.ok(numbers.size > 2990);
  });

  it("tell the time", () => {
    const beforeMs = ports.monotonicClock.nowMs();
    assert.ok(ports.monotonicClock.nowMs() >= beforeMs);
    assert.ok(ports.wallClock.nowMs() > Date.UTC(2025));
  });

  it("have no disk and no door", async () => {
    await assert.rejects(ports.disk.list(), { code: "EVH_DATA_FOLDER" });
    assert.throws(() => ports.hash.crc32(new Uint8Array(1), 0), { code: "EVH_NOT_IMPLEMENTED" });
    await assert.rejects(
      ports.network.listen({ host: "localhost", port: 0 }, () => assert.fail("accepted")),
      { code: "EVH_CONFIG" },
    );
  });
});
