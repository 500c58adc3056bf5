import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deflateSync, inflateSync } from "node:zlib";
import { EverholdError } from "@everhold/base";
import { TestWorld } from "@everhold/test-world";
import {
  ByteReader,
  ByteWriter,
  propertyNames,
  readMessage,
  writeMessage,
  type TypedValue,
} from "@everhold/wire";
import type { Consumer, ConsumerOptions } from "../api/consumer.ts";
import { connect } from "../connect.ts";
import { limits } from "../limits.ts";
import { setUp, type Setup } from "../testing/setup.test-support.ts";
import { TestBroker } from "../testing/test-broker.test-support.ts";
import { inflateBody } from "./inflate-body.ts";

const body = Uint8Array.from({ length: 1000 }, (_, index) => index & 0xff);
const partBytes = 300;

/** A consumer that is open, and the bytes of a message as the broker keeps it. */
async function open(
  setup: Setup,
  options: ConsumerOptions = {},
): Promise<{ consumer: Consumer; stored: Uint8Array }> {
  const { world, broker, connection } = setup;
  broker.queue("store");
  await world.now(connection.producer("store").send(body));
  const consumer = connection.consumer("other", options);
  await world.now(consumer.ready());
  const [message] = broker.queue("store").messages;
  assert.ok(message !== undefined);
  broker.received.length = 0;
  return { consumer, stored: message.bytes };
}

function creditCount({ broker }: Setup): number {
  return broker.got("SESS_FLOWTOKEN").length;
}

describe("a large message", () => {
  it("is put together from its parts", async () => {
    const setup = await setUp();
    const { consumer, stored } = await open(setup);
    setup.broker.lastSession.sendLarge(0, stored, partBytes);
    const message = await setup.world.now(consumer.receive());
    assert.deepEqual([...(message?.body ?? [])], [...body]);
  });

  it("fills the window until it is taken, like any other", async () => {
    const setup = await setUp();
    const { world, broker } = setup;
    const { consumer, stored } = await open(setup, { prefetch: { bytes: 500 } });
    broker.lastSession.sendLarge(0, stored, partBytes);
    await world.settle();
    const whileItWaits = creditCount(setup);
    broker.lastSession.sendLarge(0, stored, partBytes);
    await world.settle();
    await world.now(consumer.receive());
    await world.now(consumer.receive());
    assert.ok(creditCount(setup) > whileItWaits);
    const credits = broker.got("SESS_FLOWTOKEN").map((value) => Number(value["credits"]));
    // Both messages were paid for once, and a window is left.
    assert.ok(credits.reduce((sum, one) => sum + one, 0) <= 2 * stored.length + 1000);
  });

  it("that has begun is let in part by part, however much waits before it", async () => {
    const setup = await setUp();
    const { world, broker } = setup;
    const { consumer, stored } = await open(setup, { prefetch: { bytes: 500 } });
    broker.lastSession.sendLarge(0, stored, partBytes);
    await world.settle();
    const frames = broker.lastSession.largeFrames(0, stored, partBytes);
    const credited: number[] = [];
    for (const _ of frames) {
      broker.received.length = 0;
      await world.settle();
      credited.push(creditCount(setup));
    }
    // What was left for the headers may do for them; each part needs more, and after the last one none.
    assert.deepEqual(credited.slice(1), [1, 1, 1, 0]);
    for (let count = 0; count < 2; count += 1) {
      assert.equal((await world.now(consumer.receive()))?.body.length, body.length);
    }
  });

  it("under way when the broker is asked for more is waited for", async () => {
    const setup = await setUp();
    const { world, broker } = setup;
    const { consumer, stored } = await open(setup);
    const frames = broker.lastSession.largeFrames(0, stored, partBytes);
    frames.next();
    await world.settle();
    const receiving = consumer.receive({ timeout: 0 });
    assert.equal(await world.isPending(receiving), true);
    assert.equal(broker.got("SESS_FORCE_CONSUMER_DELIVERY").length, 1);
    for (const _ of frames) continue;
    assert.equal((await world.now(receiving))?.body.length, body.length);
  });

  it("under way when its consumer closes leaves its session to the others", async () => {
    const setup = await setUp();
    const { world, broker, connection } = setup;
    const { stored } = await open(setup);
    const session = await world.now(connection.session({ transacted: true }));
    const left = session.consumer("left");
    const right = session.consumer("right");
    await world.now(Promise.all([left.ready(), right.ready()]));
    const frames = broker.lastSession.largeFrames(0, stored, partBytes);
    frames.next();
    frames.next();
    const closing = left.close();
    for (const _ of frames) continue;
    await world.now(closing);
    broker.lastSession.sendLarge(1, stored, partBytes);
    assert.equal((await world.now(right.receive()))?.body.length, body.length);
    assert.equal(connection.state, "connected");
  });

  it("under way when the connection breaks ends the wait with nothing", async () => {
    const setup = await setUp();
    const { world, broker } = setup;
    const { consumer, stored } = await open(setup);
    broker.lastSession.largeFrames(0, stored, partBytes).next();
    await world.settle();
    const receiving = consumer.receive({ timeout: 0 });
    assert.equal(await world.isPending(receiving), true);
    broker.cut();
    await world.advance(1000);
    assert.equal(await world.now(receiving), null);
  });

  it("that has just ended makes the next marker say nothing, so that another is asked for", async () => {
    const setup = await setUp();
    const { world, broker } = setup;
    const { consumer, stored } = await open(setup);
    broker.lastSession.sendLarge(0, stored, partBytes);
    assert.ok((await world.now(consumer.receive())) !== null);
    assert.equal(await world.now(consumer.receive({ timeout: 0 })), null);
    assert.equal(broker.got("SESS_FORCE_CONSUMER_DELIVERY").length, 2);
    assert.equal(await world.now(consumer.receive({ timeout: 0 })), null);
    assert.equal(broker.got("SESS_FORCE_CONSUMER_DELIVERY").length, 3);
  });
});

describe("a compressed body", () => {
  const compression = {
    inflate: (bytes: Uint8Array) => new Uint8Array(inflateSync(bytes)),
  };

  it("is inflated when somebody reads it, and its marks are not the application's", async () => {
    const world = new TestWorld();
    const broker = new TestBroker(world);
    const ports = { ...world.ports, compression };
    const connection = await world.now(connect(ports, "tcp://broker:61616"));
    const { consumer, stored } = await open({ world, broker, connection });
    broker.lastSession.sendLarge(0, compressed(stored), partBytes);
    const message = await world.now(consumer.receive());
    assert.deepEqual([...(message?.body ?? [])], [...body]);
    assert.equal(message?.body, message?.body);
    assert.deepEqual(
      Object.keys(message?.properties ?? {}).filter((name) => name.startsWith("_AMQ_LARGE")),
      [],
    );
  });

  it("is refused with its reason when it is damaged, too large, or can't be inflated here", () => {
    const packed = new Uint8Array(deflateSync(body));
    assert.deepEqual([...inflateBody(compression, packed)], [...body]);
    const codeOf = (read: () => unknown): string => {
      try {
        read();
      } catch (error) {
        assert.ok(EverholdError.is(error));
        return error.code;
      }
      return "none";
    };
    assert.equal(
      codeOf(() => inflateBody(undefined, packed)),
      "EVH_NOT_IMPLEMENTED",
    );
    assert.equal(
      codeOf(() => inflateBody(compression, packed.slice(1))),
      "EVH_PROTOCOL",
    );
    const asked: number[] = [];
    const bomb = { inflate: (_: Uint8Array, bytesMax: number) => void asked.push(bytesMax) };
    assert.equal(
      codeOf(() => inflateBody(bomb, packed)),
      "EVH_FRAME_TOO_LARGE",
    );
    assert.deepEqual(asked, [limits.largeMessageBytesMax]);
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
