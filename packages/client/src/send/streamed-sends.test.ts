import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertError, rejection } from "@everhold/test-world";
import { ByteReader, readMessage } from "@everhold/wire";
import { limits } from "../limits.ts";
import type { StreamBody } from "../message/stream-body.ts";
import { setUp, type Setup } from "../testing/setup.test-support.ts";

const part = 4096;
const options = { minLargeMessageSize: part } as const;
const body = Uint8Array.from({ length: 3 * part + 100 }, (_, index) => (index * 7) & 0xff);

async function* inPieces(bytes: Uint8Array, size: number): AsyncIterable<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) {
    yield await Promise.resolve(bytes.subarray(start, start + size));
  }
}

/** A source that gives pieces when it is told to. */
class Tap implements AsyncIterable<Uint8Array> {
  openCount = 0;
  isLeft = false;
  #give: ((piece: Uint8Array | undefined) => void) | undefined;

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    this.openCount += 1;
    try {
      for (;;) {
        const piece = await new Promise<Uint8Array | undefined>(
          (resolve) => (this.#give = resolve),
        );
        if (piece === undefined) return;
        yield piece;
      }
    } finally {
      this.isLeft = true;
    }
  }

  give(piece: Uint8Array | undefined): void {
    this.#give?.(piece);
  }
}

function storedBodies({ broker }: Setup, queue = "q"): Uint8Array[] {
  return broker.queue(queue).messages.map(({ bytes }) => readMessage(new ByteReader(bytes)).body);
}

describe("a body that is sent", () => {
  it("goes in parts when it has more bytes than a message may have in one packet", async () => {
    const setup = await setUp(options);
    const { world, broker, connection } = setup;
    const producer = connection.producer("q");
    await world.now(producer.send(body.subarray(0, part)));
    assert.equal(broker.got("SESS_SEND_LARGE").length, 0);
    await world.now(producer.send(body));
    await world.now(producer.send("x".repeat(part)));
    assert.equal(broker.got("SESS_SEND_LARGE").length, 2);
    assert.equal(broker.got("SESS_SEND_CONTINUATION").length, 7);
    assert.deepEqual([...(storedBodies(setup)[1] ?? [])], [...body]);
    const message = await world.now(connection.consumer("q").receive());
    assert.equal(message?.body.length, part);
  });

  it("is read as it goes when it is a stream, whatever pieces it comes in", async () => {
    for (const size of [1, 1000, part, 10_000, 100_000]) {
      const setup = await setUp(options);
      await setup.world.now(setup.connection.send("q", inPieces(body, size)));
      assert.deepEqual(storedBodies(setup), [body]);
      assert.equal(setup.broker.got("SESS_SEND_CONTINUATION").length, 4);
    }
  });

  it("may be an empty stream", async () => {
    const setup = await setUp(options);
    await setup.world.now(setup.connection.send("q", inPieces(new Uint8Array(0), 1)));
    assert.deepEqual(storedBodies(setup), [new Uint8Array(0)]);
  });

  it("of more bytes than a frame holds is streamed", async () => {
    const setup = await setUp({ minLargeMessageSize: 1024 * 1024 });
    const large = new Uint8Array(limits.messageBytesMax + 1).fill(7);
    await setup.world.now(setup.connection.send("q", large));
    assert.equal(storedBodies(setup)[0]?.length, large.length);
  });

  it("waits for nothing but its own session, and its session goes with it", async () => {
    const setup = await setUp(options);
    const { world, broker, connection } = setup;
    const before = broker.sessions.length;
    const tap = new Tap();
    const sending = connection.send("q", tap);
    await world.settle();
    await world.now(connection.send("q", "small"));
    assert.equal(broker.sessions.length, before + 1);
    tap.give(body);
    await world.settle();
    tap.give(undefined);
    await world.now(sending);
    assert.equal(broker.sessions.length, before);
    assert.equal(storedBodies(setup).length, 2);
  });

  it("is waited for when the connection drains", async () => {
    const setup = await setUp(options);
    const { world, connection } = setup;
    const tap = new Tap();
    const sending = connection.send("q", tap);
    await world.settle();
    const draining = connection.drain();
    assert.equal(await world.isPending(draining), true);
    tap.give(undefined);
    await world.now(Promise.all([sending, draining]));
  });
});

describe("a streamed send that does not come to its end", () => {
  it("is rejected when reading fails, and nothing of it is kept", async () => {
    const setup = await setUp(options);
    const { world, connection } = setup;
    async function* failing(): AsyncIterable<Uint8Array> {
      yield await Promise.resolve(body);
      throw new RangeError("no more");
    }
    const error = await rejection(world, connection.send("q", failing()));
    assertError(error, "EVH_ABORTED");
    assert.ok(error.cause instanceof RangeError);
    assert.deepEqual(storedBodies(setup), []);
  });

  it("is rejected for a stream of anything but bytes", async () => {
    const setup = await setUp(options);
    // What JavaScript programs may get wrong.
    const texts: unknown = inPiecesOfText();
    const send = setup.connection.send("q", asBody(texts));
    assertError(await rejection(setup.world, send), "EVH_MESSAGE_FORMAT");
  });

  it("has one time limit for all that it waits for", async () => {
    const setup = await setUp({ ...options, reconnect: { initialDelay: 1000 } });
    const { world, broker, connection } = setup;
    broker.grantsCredit = false;
    broker.cut();
    await world.settle();
    const sending = connection.send("q", inPieces(body, part), { timeout: 5000 });
    sending.catch(() => undefined);
    await world.advance(4999);
    assert.equal(connection.state, "connected");
    assert.equal(await world.isPending(sending), true);
    await world.advance(1);
    assertError(await rejection(world, sending), "EVH_TIMEOUT");
  });

  it("leaves its source when its caller gives up", async () => {
    const setup = await setUp(options);
    const { world, connection } = setup;
    const tap = new Tap();
    const giving = new AbortController();
    const sending = connection.send("q", tap, { signal: giving.signal });
    await world.settle();
    tap.give(body);
    await world.settle();
    giving.abort();
    assertError(await rejection(world, sending), "EVH_ABORTED");
    tap.give(body);
    await world.settle();
    assert.equal(tap.isLeft, true);
    assert.deepEqual(storedBodies(setup), []);
  });

  it("is rejected as not sent when the connection breaks, where it cannot be read again", async () => {
    const setup = await setUp(options);
    const { world, broker, connection } = setup;
    const tap = new Tap();
    const sending = connection.send("q", tap);
    await world.settle();
    tap.give(body);
    await world.settle();
    sending.catch(() => undefined);
    broker.cut();
    await world.advance(1000);
    assertError(await rejection(world, sending), "EVH_UNBLOCKED", "none");
    await world.now(connection.send("q", "goes on"));
  });

  it("is sent again from its beginning where it can be, and is there once", async () => {
    const setup = await setUp(options);
    const { world, broker, connection } = setup;
    const taps: Tap[] = [];
    const sending = connection.send("q", () => {
      const tap = new Tap();
      taps.push(tap);
      return tap;
    });
    await world.settle();
    taps[0]?.give(body);
    await world.settle();
    broker.cut();
    await world.advance(1000);
    assert.equal(taps.length, 2);
    taps[1]?.give(body);
    await world.settle();
    taps[1]?.give(undefined);
    await world.now(sending);
    assert.deepEqual(storedBodies(setup), [body]);
  });
});

describe("a streamed send in a transaction", () => {
  it("keeps its place among the others and takes effect with the commit", async () => {
    const setup = await setUp(options);
    const { world, connection } = setup;
    const session = await world.now(connection.session({ transacted: true }));
    const sends = [
      session.send("q", new Uint8Array([1])),
      session.send("q", inPieces(body, 1000)),
      session.send("q", new Uint8Array([3])),
    ];
    await world.now(Promise.all(sends));
    assert.deepEqual(storedBodies(setup), []);
    await world.now(session.commit());
    assert.deepEqual(
      storedBodies(setup).map((one) => one.length),
      [1, body.length, 1],
    );
  });

  it("is waited for by the commit", async () => {
    const setup = await setUp(options);
    const { world, connection } = setup;
    const session = await world.now(connection.session({ transacted: true }));
    const tap = new Tap();
    const sending = session.send("q", tap);
    await world.settle();
    const committing = session.commit();
    assert.equal(await world.isPending(committing), true);
    tap.give(undefined);
    await world.now(Promise.all([sending, committing]));
    assert.equal(storedBodies(setup).length, 1);
  });

  it("gets its credit whatever number of other addresses is sent to meanwhile", async () => {
    const setup = await setUp({ ...options, producerWindow: part });
    const { world, broker, connection } = setup;
    const session = await world.now(connection.session({ transacted: true }));
    const tap = new Tap();
    const sending = session.send("q", tap);
    await world.settle();
    broker.grantsCredit = false;
    tap.give(body);
    await world.settle();
    for (let index = 0; index < limits.addressCountMax; index += 1) {
      session.send(`other.${index}`, "x").catch(() => undefined);
    }
    await world.settle();
    broker.lastSession.grant("q", 2 * body.length);
    await world.settle();
    tap.give(undefined);
    await world.now(sending);
  });

  it("that a broken connection ends takes those that wait for it with it", async () => {
    const setup = await setUp(options);
    const { world, broker, connection } = setup;
    const session = await world.now(connection.session({ transacted: true }));
    const sending = [session.send("q", new Tap()), session.send("q", "behind it")];
    const ends = Promise.allSettled(sending);
    await world.settle();
    broker.cut();
    await world.advance(1000);
    await world.now(ends);
    for (const send of sending) {
      assertError(await rejection(world, send), "EVH_TRANSACTION_ROLLED_BACK");
    }
  });
});

async function* inPiecesOfText(): AsyncIterable<string> {
  yield await Promise.resolve("text");
}

function asBody(value: unknown): StreamBody {
  if (!isBody(value)) throw new Error("it looks like a stream");
  return value;
}

function isBody(value: unknown): value is StreamBody {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
