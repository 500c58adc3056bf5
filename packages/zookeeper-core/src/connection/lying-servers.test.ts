import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Prng } from "@everhold/base";
import { assertError, assertNothingRuns, rejection } from "@everhold/test-world";
import { ByteWriter } from "@everhold/wire";
import {
  begin,
  forever,
  requestOf,
  setUp,
  timeoutMs,
  type Setup,
} from "../testing/setup.test-support.ts";

/** Sends bytes as they are to the client of a setup. */
async function send({ world, ensemble }: Setup, bytes: Uint8Array): Promise<void> {
  ensemble.connected.connections[0]?.link.send(bytes);
  await world.settle();
}

function frame(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter();
  writer.i32(0);
  write(writer);
  writer.patchU32(0, writer.offset - 4);
  return writer.toBytes();
}

function answer(xid: number, body: (writer: ByteWriter) => void = () => undefined): Uint8Array {
  return frame((writer) => {
    writer.i32(xid);
    writer.i64(1);
    writer.i32(0);
    body(writer);
  });
}

const lies: Readonly<Record<string, Uint8Array>> = {
  "a negative length": new Uint8Array([0xff, 0xff, 0xff, 0xff]),
  "a length of nothing": new Uint8Array([0, 0, 0, 0]),
  "a length beyond the limit": new Uint8Array([0x7f, 0xff, 0xff, 0xff]),
  "a header cut short": frame((writer) => writer.i32(1)),
  "the answer to another request": answer(2),
  "the answer to a request that was not made": answer(0),
  "a notification without a path": answer(-1, (writer) => writer.i32(3)),
  "a notification whose path is longer than its frame": answer(-1, (writer) => {
    writer.i32(3);
    writer.i32(3);
    writer.i32(0x7fff_ffff);
  }),
};

describe("a server that lies", () => {
  for (const [name, bytes] of Object.entries(lies)) {
    it(`sends ${name}, and loses the connection`, async () => {
      const setup = await setUp({ hosts: ["a"] });
      const { world, ensemble, session, events } = setup;
      ensemble.rule = () => "drop";
      const waiting = session.request(requestOf(), forever);
      waiting.catch(() => undefined);
      await world.settle();
      await send(setup, bytes);
      assertError(await rejection(world, waiting), "EVH_DISCONNECTED", "unknown");
      const suspended = events[1];
      assert.ok(suspended?.type === "suspended", events[1]?.type);
      assert.match(suspended.error.code, /^EVH_(PROTOCOL|FRAME_TOO_LARGE)$/);
      await world.advance(5000);
      assert.equal(session.state, "connected");
    });
  }

  it("answers with a body that is none, and both the caller and the connection hear of it", async () => {
    const { world, ensemble, session } = await setUp({ hosts: ["a"] });
    ensemble.rule = () => new Uint8Array([1, 2, 3]);
    const spec = { ...requestOf(), decode: (reader: { i32(): number }) => reader.i32() };
    assertError(await rejection(world, session.request(spec, forever)), "EVH_PROTOCOL", "unknown");
    assert.equal(session.state, "suspended");
  });

  it("answers what nobody asked, and is forgiven where it does not matter", async () => {
    const setup = await setUp({ hosts: ["a"] });
    await send(setup, answer(-2));
    await send(setup, answer(-4));
    assert.equal(setup.session.state, "connected");
  });

  const hellos: Readonly<Record<string, Uint8Array>> = {
    "a negative length": new Uint8Array([0xff, 0xff, 0xff, 0xff]),
    "half an answer": frame((writer) => writer.i64(1)),
    "a session without a password": frame((writer) => {
      for (const value of [0, 4000, 0, 1, -1]) writer.i32(value);
    }),
    "a timeout below nothing": frame((writer) => {
      for (const value of [0, -1, 0, 1, 16, 0, 0, 0, 0]) writer.i32(value);
    }),
    "two answers": new Uint8Array([
      ...frame((writer) => [0, 4000, 0, 1, 16, 0, 0, 0, 0].forEach((value) => writer.i32(value))),
      ...frame((writer) => [0, 4000, 0, 1, 16, 0, 0, 0, 0].forEach((value) => writer.i32(value))),
    ]),
  };
  for (const [name, bytes] of Object.entries(hellos)) {
    it(`answers the handshake with ${name}, and another one is tried`, async () => {
      const { world, ensemble, session } = await begin({
        hosts: ["a", "b"],
        prepare: (prepared) => (prepared.server("a").helloAnswer = bytes),
      });
      await world.advance(timeoutMs);
      assert.equal(session.state, "connected");
      assert.equal(ensemble.connected.host, "b");
      await world.now(session.close());
      assertNothingRuns(world);
    });
  }

  it("sends anything at all, and the client lives on with nothing left behind", async () => {
    for (let seed = 1; seed <= 150; seed += 1) {
      const prng = new Prng(seed);
      const noise = (): Uint8Array => {
        const bytes = new Uint8Array(1 + (prng.uint32() % 200));
        prng.fill(bytes);
        // Half of it in frames of the right length, to get beyond that.
        return prng.uint32() % 2 === 0 ? bytes : frame((writer) => writer.raw(bytes));
      };
      const setup = await begin({
        seed,
        prepare: (ensemble) => {
          if (seed % 3 === 0) ensemble.server("a").helloAnswer = noise();
        },
      });
      const { world, ensemble, session } = setup;
      ensemble.rule = () => (prng.uint32() % 3 === 0 ? noise() : "usual");
      const calls: Promise<unknown>[] = [];
      for (let round = 0; round < 6; round += 1) {
        const call = session.request(requestOf(), { deadlineMs: world.nowMs + 20_000 });
        call.catch(() => undefined);
        calls.push(call);
        if (session.state === "connected") await send(setup, noise());
        await world.advance(500);
      }
      const settled = Promise.allSettled(calls);
      for (const server of ensemble.servers) server.helloAnswer = undefined;
      ensemble.rule = () => "usual";
      await world.advance(30_000);
      await world.now(settled);
      assert.equal(session.state, "connected", `seed ${seed}`);
      await world.now(session.close());
      await world.advance(1);
      assertNothingRuns(world);
    }
  });
});
