import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { Acceptor, allOf, frame } from "./web-socket.test-support.ts";

const runs = { numRuns: 40 };

/** A message in fragments, with pings between them. */
const message = fc
  .array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 4 })
  .map((fragments) => ({
    bytes: Buffer.concat(fragments),
    frames: fragments.flatMap((fragment, index) => {
      const isLast = index === fragments.length - 1;
      return [
        frame(9, fragment.subarray(0, 100)),
        frame(index === 0 ? 2 : 0, fragment, { isLast }),
      ];
    }),
  }));

describe("an acceptor that takes WebSockets, for any bytes", () => {
  const acceptor = new Acceptor();

  before(() => acceptor.open());
  after(() => acceptor.close());

  it("hands over what came in messages, however these and the packets of the network are cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(message, { minLength: 1, maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 8 }),
        async (messages, cuts) => {
          const socket = await acceptor.upgraded();
          const side = acceptor.sides.at(-1);
          assert.ok(side);
          socket.resume();
          const wire = Buffer.concat(messages.flatMap(({ frames }) => frames));
          for (let start = 0, piece = 0; start < wire.length; piece += 1) {
            const end = start + (cuts[piece % cuts.length] ?? 1);
            socket.write(wire.subarray(start, end));
            await new Promise((resolve) => setImmediate(resolve));
            start = end;
          }
          const expected = Buffer.concat(messages.map(({ bytes }) => bytes));
          assert.ok((await side.gets(expected.length)).equals(expected));
          socket.destroy();
          await side.closed.promise;
        },
      ),
      runs,
    );
  });

  it("outlives whatever else comes, ends it, and serves the next", async () => {
    const anything = fc.uint8Array({ minLength: 1, maxLength: 400 });
    const asHttp = anything.map((bytes) => Buffer.concat([Buffer.from("GET "), bytes]));
    const cases = fc.record({
      isUpgraded: fc.boolean(),
      bytes: fc.oneof(
        anything,
        asHttp,
        message.map(({ frames }) => Buffer.concat(frames).fill(0x5a, 3, 9)),
      ),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ isUpgraded, bytes }) => {
        const socket = isUpgraded ? await acceptor.upgraded() : await acceptor.dial();
        const rest = allOf(socket);
        socket.end(bytes);
        await rest;
        const witness = await acceptor.connect();
        const side = acceptor.sides.at(-1);
        assert.ok(side);
        witness.link.send(Uint8Array.of(7));
        assert.deepEqual([...(await side.gets(1))], [7]);
        witness.link.end();
        assert.equal(await side.closed.promise, undefined);
      }),
      runs,
    );
  });
});
