import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deflateSync } from "node:zlib";
import { assertError, rejection } from "@everhold/test-world";
import {
  ByteReader,
  ByteWriter,
  propertyNames,
  readMessage,
  writeMessage,
  type TypedValue,
} from "@everhold/wire";
import type { Consumer, ConsumerOptions } from "../api/consumer.ts";
import { limits } from "../limits.ts";
import type { Message } from "./message.ts";
import { setUp, type Setup } from "../testing/setup.test-support.ts";

const body = Uint8Array.from({ length: 2000 }, (_, index) => (index * 7) & 0xff);
const partBytes = 300;

interface Opened extends Setup {
  readonly consumer: Consumer;
  readonly stored: Uint8Array;
}

/** A consumer that takes every large body as a stream, and the bytes of a message as the broker keeps it. */
async function open(options: ConsumerOptions = {}, content: Uint8Array = body): Promise<Opened> {
  const setup = await setUp();
  const { world, broker, connection } = setup;
  broker.queue("store");
  await world.now(connection.producer("store").send(content));
  const consumer = connection.consumer("other", { streamAbove: 0, ...options });
  await world.now(consumer.ready());
  const [message] = broker.queue("store").messages;
  assert.ok(message !== undefined);
  broker.received.length = 0;
  return { ...setup, consumer, stored: message.bytes };
}

/** Another message, as the broker keeps it. */
async function storedBody({ world, broker, connection }: Setup, content: Uint8Array) {
  await world.now(connection.producer("store").send(content));
  const message = broker.queue("store").messages.at(-1);
  assert.ok(message !== undefined);
  return message.bytes;
}

async function received({ world, consumer }: Opened): Promise<Message> {
  const message = await world.now(consumer.receive());
  assert.ok(message !== null);
  return message;
}

async function readAll(message: Message): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of message.bodyStream()) parts.push(part);
  return Buffer.concat(parts);
}

describe("a message whose body is streamed", () => {
  it("is handed out before its body has come, which is read as it comes", async () => {
    const opened = await open();
    const { world, broker, stored } = opened;
    const frames = broker.lastSession.largeFrames(0, stored, partBytes);
    frames.next();
    const message = await received(opened);
    assert.equal(message.isStreamed, true);
    assert.equal(message.bodySize, body.length);
    const reading = readAll(message);
    assert.equal(await world.isPending(reading), true);
    for (const _ of frames) continue;
    assert.ok((await world.now(reading)).equals(body));
  });

  it("has no body as a whole, and is read once", async () => {
    const opened = await open();
    opened.broker.lastSession.sendLarge(0, opened.stored, partBytes);
    const message = await received(opened);
    assert.throws(() => message.body, { code: "EVH_ILLEGAL_STATE" });
    assert.throws(() => message.text(), { code: "EVH_ILLEGAL_STATE" });
    await opened.world.now(readAll(message));
    assertError(await rejection(opened.world, readAll(message)), "EVH_ILLEGAL_STATE");
  });

  it("lets no more in than fits when nobody reads it", async () => {
    const size = 4 * limits.unreadBytesMax;
    const opened = await open({ prefetch: { bytes: 1000 } }, new Uint8Array(size));
    const { world, broker, stored } = opened;
    const frames = broker.lastSession.largeFrames(0, stored, 10_000);
    frames.next();
    await received(opened);
    let arrivedBytes = 0;
    for (let credit = 900; credit > 0 && arrivedBytes < size;) {
      frames.next();
      arrivedBytes += 10_000;
      credit -= 10_026;
      await world.settle();
      for (const value of broker.got("SESS_FLOWTOKEN")) credit += Number(value["credits"]);
      broker.received.length = 0;
    }
    assert.ok(arrivedBytes < size / 2, `${arrivedBytes} bytes were let in`);
  });

  it("that is settled unread, or left half-read, lets the next one come", async () => {
    const opened = await open();
    const { world, broker, stored } = opened;
    broker.lastSession.sendLarge(0, stored, partBytes);
    const first = await received(opened);
    // The test's broker did not deliver it from a queue, and so refuses.
    first.ack().catch(() => undefined);
    broker.lastSession.sendLarge(0, stored, partBytes);
    const second = await received(opened);
    for await (const part of second.bodyStream()) {
      assert.equal(part.length, partBytes);
      break;
    }
    broker.lastSession.sendLarge(0, stored, partBytes);
    const third = await received(opened);
    assert.ok((await world.now(readAll(third))).equals(body));
  });

  it("is cut by a broken connection with an error, and comes again as another", async () => {
    const opened = await open();
    const { world, broker, stored } = opened;
    const frames = broker.lastSession.largeFrames(0, stored, partBytes);
    frames.next();
    frames.next();
    const message = await received(opened);
    const reading = readAll(message);
    reading.catch(() => undefined);
    await world.settle();
    broker.cut();
    await world.advance(1000);
    assertError(await rejection(world, reading), "EVH_UNBLOCKED");
    assertError(await rejection(world, message.ack()), "EVH_ILLEGAL_STATE");
    broker.lastSession.sendLarge(0, stored, partBytes);
    const again = await received(opened);
    assert.ok((await world.now(readAll(again))).equals(body));
  });

  it("says why it is not whole to who begins to read it later", async () => {
    const opened = await open();
    const frames = opened.broker.lastSession.largeFrames(0, opened.stored, partBytes);
    frames.next();
    const message = await received(opened);
    opened.broker.cut();
    await opened.world.advance(1000);
    assertError(await rejection(opened.world, readAll(message)), "EVH_UNBLOCKED");
  });

  it("that the broker gives up for another one ends for its reader", async () => {
    const opened = await open({ streamAbove: 1000 });
    const { world, broker, stored, consumer } = opened;
    const frames = broker.lastSession.largeFrames(0, stored, partBytes);
    frames.next();
    frames.next();
    const message = await received(opened);
    const reading = readAll(message);
    await world.settle();
    broker.lastSession.sendLarge(0, await storedBody(opened, body.subarray(0, 900)), partBytes);
    assertError(await rejection(world, reading), "EVH_ILLEGAL_STATE");
    assert.equal((await received(opened)).bodySize, 900);
    assert.equal(await world.now(consumer.receive({ timeout: 0 })), null);
  });

  it("for which the broker gives up a smaller one is not waited for when it is whole", async () => {
    const opened = await open({ streamAbove: 1000 });
    const { world, broker, stored, consumer } = opened;
    const small = await storedBody(opened, body.subarray(0, 900));
    const frames = broker.lastSession.largeFrames(0, small, partBytes);
    frames.next();
    frames.next();
    broker.lastSession.sendLarge(0, stored, partBytes);
    assert.ok((await world.now(readAll(await received(opened)))).equals(body));
    assert.equal(await world.now(consumer.receive({ timeout: 0 })), null);
  });

  it("is inflated as it comes", async () => {
    const opened = await open();
    opened.broker.lastSession.sendLarge(0, compressed(opened.stored), partBytes);
    const message = await received(opened);
    assert.equal(message.bodySize, body.length);
    assert.ok((await opened.world.now(readAll(message))).equals(body));
  });

  it("is as well one part where it came whole", async () => {
    const opened = await open({ streamAbove: 5000 });
    opened.broker.lastSession.sendLarge(0, opened.stored, partBytes);
    const message = await received(opened);
    assert.equal(message.isStreamed, false);
    assert.ok((await opened.world.now(readAll(message))).equals(body));
    assert.ok((await opened.world.now(readAll(message))).equals(body));
  });

  it("cannot be refused by a copy", async () => {
    const opened = await open();
    opened.broker.lastSession.sendLarge(0, opened.stored, partBytes);
    const message = await received(opened);
    assertError(await rejection(opened.world, message.reject("bad")), "EVH_ILLEGAL_STATE");
  });
});

/** The message with its body as a Java client with `compressLargeMessage=true` sends it. */
function compressed(message: Uint8Array): Uint8Array {
  const read = readMessage(new ByteReader(message));
  const properties = new Map<string, TypedValue>([
    ...read.properties,
    [propertyNames.largeCompressed, { type: "boolean", value: true }],
    [propertyNames.largeSize, { type: "long", value: read.body.length }],
  ]);
  const writer = new ByteWriter();
  writeMessage(writer, { ...read, properties, body: new Uint8Array(deflateSync(read.body)) });
  return writer.toBytes();
}
