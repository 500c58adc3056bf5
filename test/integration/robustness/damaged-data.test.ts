import assert from "node:assert/strict";
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { connect, verifyData } from "everhold";

import { freePort } from "../free-port.ts";
import { BrokerProcess } from "./broker-process.test-support.ts";
import { temporaryFolder, TestBroker } from "./test-broker.test-support.ts";
import { Witness } from "./witness.test-support.ts";

const messageCount = 30;
const segmentHeaderBytes = 4_096;

describe("a data folder", () => {
  /** What a broker left that was killed after it had confirmed every message, each in a batch of its own. */
  let original: string;
  const copies: string[] = [];

  before(async () => {
    original = temporaryFolder();
    const broker = new BrokerProcess(original, await freePort());
    await broker.start();
    const connection = await connect(broker.url, { reconnect: false });
    await connection.createQueue("q");
    const producer = connection.producer("q");
    for (let index = 0; index < messageCount; index += 1) await producer.send(textOf(index));
    await connection.close();
    await broker.kill();
  });

  after(() => {
    for (const folder of [original, ...copies]) rmSync(folder, { recursive: true, force: true });
  });

  function copy(): string {
    const folder = temporaryFolder();
    cpSync(original, folder, { recursive: true });
    copies.push(folder);
    return folder;
  }

  it("that one broker uses is refused to a second one, and the first goes on", async () => {
    await using first = await TestBroker.start();
    await using witness = await Witness.start(first.url);
    await assert.rejects(TestBroker.start({}, first.folder), { code: "EVH_DATA_LOCKED" });
    const second = new BrokerProcess(first.folder, await freePort());
    await assert.rejects(second.start(), /uses|locked/i);
    await assert.rejects(verifyData(first.folder), { code: "EVH_DATA_LOCKED" });
    await witness.sees(10);
  });

  it("of a broker that was killed is sound, and holds every message that it confirmed", async () => {
    const folder = copy();
    const report = await verifyData(folder);
    assert.deepEqual(report.problems, []);
    assert.deepEqual(await messagesIn(folder), texts(messageCount));
  });

  for (const offset of [-600, -40, 0, 1, 9, 100]) {
    it(`with a damaged old batch (byte ${offset} of a text) is refused, with place and cure`, async () => {
      const folder = copy();
      const { file, bytes } = newestSegment(folder);
      const text = Buffer.from(textOf(messageCount / 2), "utf16le");
      const at = bytes.indexOf(text) + offset;
      assert.ok(at > segmentHeaderBytes);
      bytes[at] = (bytes[at] ?? 0) ^ 0x10;
      writeFileSync(join(folder, file), bytes);
      const damaged = readFileSync(join(folder, file));
      await assert.rejects(TestBroker.start({}, folder), (error: Error) => {
        assert.deepEqual("code" in error && error.code, "EVH_DATA_CORRUPT");
        assert.ok(error.message.includes(file), error.message);
        assert.match(error.message, /\b\d{3,}\b/, "names a position");
        assert.match(error.message, /restore|backup/, "says what to do");
        return true;
      });
      assert.deepEqual(readFileSync(join(folder, file)), damaged, "nothing was changed");
      const report = await verifyData(folder);
      assert.equal(report.isSound, false);
      assert.equal(report.problems[0]?.code, "EVH_DATA_CORRUPT");
    });
  }

  it("with a damaged segment header is refused", async () => {
    for (const at of [0, 8, 40, 100]) {
      const folder = copy();
      const { file, bytes } = newestSegment(folder);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      writeFileSync(join(folder, file), bytes);
      await assert.rejects(TestBroker.start({}, folder), { code: /^EVH_DATA_(CORRUPT|FORMAT)$/ });
    }
  });

  it("whose tail is cut is accepted, without the messages that are cut and no others", async () => {
    const { endPosition } = await verifyData(copy());
    let previousCount = messageCount;
    for (const cutBytes of [1, 64, 500, 512, 513, 1_000, 1_100, 2_000, 4_000]) {
      const folder = copy();
      const { file, base } = newestSegment(folder);
      truncateSync(join(folder, file), endPosition - base - cutBytes);
      const found = await messagesIn(folder);
      assert.deepEqual(found, texts(found.length), `${cutBytes} bytes are cut`);
      assert.ok(found.length < messageCount && found.length <= previousCount);
      previousCount = found.length;
    }
    assert.ok(previousCount > 0, "what lies before the cut is kept");
  });

  it("whose tail is full of zeros or of noise is accepted in the same way", async () => {
    const { endPosition } = await verifyData(copy());
    for (const noise of [0, 0xa5]) {
      const folder = copy();
      const { file, base, bytes } = newestSegment(folder);
      bytes.fill(noise, endPosition - base - 700, endPosition - base);
      writeFileSync(join(folder, file), bytes);
      const found = await messagesIn(folder);
      assert.deepEqual(found, texts(messageCount - 1));
    }
  });
});

/** Starts a broker on the folder, and looks at all messages. */
async function messagesIn(folder: string): Promise<string[]> {
  const test = await TestBroker.start({}, folder);
  try {
    await using connection = await connect(test.url);
    const found: string[] = [];
    for await (const message of connection.browse("q")) found.push(message.text());
    return found;
  } finally {
    await test[Symbol.asyncDispose]();
  }
}

function newestSegment(folder: string): {
  readonly file: string;
  readonly base: number;
  readonly bytes: Buffer;
} {
  const [file] = readdirSync(folder)
    .filter((name) => /^[0-9a-f]{16}\.journal$/.test(name))
    .toSorted()
    .toReversed();
  assert.ok(file !== undefined);
  const base = Number.parseInt(file.slice(0, 16), 16);
  return { file, base, bytes: readFileSync(join(folder, file)) };
}

function texts(count: number): string[] {
  return Array.from({ length: count }, (_, index) => textOf(index));
}

function textOf(index: number): string {
  return `message ${index} ${"x".repeat(400)}`;
}
