import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

import { connect, type Connection } from "@everhold/client";
import { nodePorts } from "@everhold/node";

import { EverholdBroker } from "../support/everhold-broker.ts";
import { recordFigure } from "../support/figures.ts";
import { javaCases, restartsFor, runJava } from "../support/java.ts";

/** MiB of one message; `LARGE_MIB=1024 npm run interop -- large-messages` sends as much as the broker promises. */
const mib = Number(process.env["LARGE_MIB"] ?? 128);
const bytes = mib * 1024 * 1024;
/** Far less than any of the messages. */
const heap = "64M";
/**
 * MiB that the broker may take more than at its start, whatever the size of a message: 64 of the journal's newest
 * bytes, 32 of what was read back, buffers, and what the collector leaves lying.
 */
const growthMax = 240;

const ports = nodePorts({ log: { level: "error" } });

/** The bytes of `java/src/main/java/everhold/interop/LargeStreams.java`, a piece at a time. */
function* pieces(): Generator<Uint8Array, undefined> {
  const pieceBytes = 65_536;
  for (let start = 0; start < bytes; start += pieceBytes) {
    const piece = new Uint8Array(Math.min(pieceBytes, bytes - start));
    const high = start / 65_536;
    for (let index = 0; index < piece.length; index += 1) piece[index] = index * 31 + high;
    yield piece;
  }
  return undefined;
}

async function* source(): AsyncIterable<Uint8Array> {
  for (const piece of pieces()) yield await Promise.resolve(piece);
}

/** Compares what comes with {@link pieces}, however it is cut. */
async function checkBody(parts: AsyncIterable<Uint8Array>): Promise<void> {
  const expected = pieces();
  let rest = Buffer.alloc(0);
  let place = 0;
  for await (const part of parts) {
    for (let at = 0; at < part.length;) {
      if (rest.length === 0) rest = Buffer.from(expected.next().value ?? []);
      const count = Math.min(rest.length, part.length - at);
      assert.ok(count > 0, `more than ${place} bytes come`);
      const isSame = rest.subarray(0, count).equals(part.subarray(at, at + count));
      assert.ok(isSame, `a byte behind ${place} is wrong`);
      rest = rest.subarray(count);
      at += count;
      place += count;
    }
  }
  assert.equal(place, bytes);
}

/** MiB that a process has in memory now (`VmRSS`), or had at most (`VmHWM`). */
function memoryOf(pid: number, field: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024);
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return Math.round(mib / ((performance.now() - startMs) / 1000));
}

/** Does something with a broker that has just started, and says what it took of memory. */
async function measured(
  name: string,
  work: (broker: EverholdBroker, connection: Connection) => Promise<void>,
): Promise<void> {
  await using broker = await EverholdBroker.start();
  const connection = await connect(ports, broker.url);
  try {
    await connection.createQueue("large");
    const before = memoryOf(broker.pid, "VmRSS");
    await work(broker, connection);
    const peak = memoryOf(broker.pid, "VmHWM");
    recordFigure(name, { mib, brokerBeforeMib: before, brokerPeakMib: peak });
    assert.ok(peak - before < growthMax, `the broker grew from ${before} to ${peak} MiB`);
  } finally {
    await connection.close();
  }
}

describe(`a message of ${mib} MiB`, { timeout: 900_000 }, () => {
  it("goes from a Java client to ours", async (test) => {
    await measured("memory of the broker, Java to our client", async (broker, connection) => {
      const args = [broker.url, "sendTo=large", `bytes=${bytes}`];
      await javaCases(test, await runJava("jakarta-2.44", "LargeStreams", args, { heap }));
      const consumer = connection.consumer("large", { streamAbove: 0 });
      const message = await consumer.receive({ timeout: 60_000 });
      assert.equal(message?.bodySize, bytes);
      const mibPerSecond = await timed(() => checkBody(message.bodyStream()));
      await message.ack();
      recordFigure("our client receives a large message", { mib, mibPerSecond });
    });
  });

  it("goes from our client to Java clients, the oldest too", async (test) => {
    await measured("memory of the broker, our client to Java", async (broker, connection) => {
      for (const client of ["jakarta-2.44", "javax-2.31"] as const) {
        const mibPerSecond = await timed(() => connection.send("large", source()));
        recordFigure("our client sends a large message", { mib, mibPerSecond });
        const args = [broker.url, "receiveFrom=large", `bytes=${bytes}`];
        await javaCases(test, await runJava(client, "LargeStreams", args, { heap }));
      }
    });
  });

  it("is whole or not there when the broker is killed meanwhile", async (test) => {
    await using broker = await EverholdBroker.start();
    const restarts = restartsFor(broker);
    const size = Math.min(bytes, 64 * 1024 * 1024);
    const args = [broker.url, "restarts=yes", `bytes=${size}`];
    const { onLine } = restarts;
    const result = await runJava("jakarta-2.44", "LargeStreams", args, { heap, onLine });
    await restarts.done();
    await javaCases(test, result);
  });
});
