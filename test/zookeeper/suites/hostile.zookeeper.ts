/** Servers that lie: what they send ends the connection, and nothing else. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { EverholdError } from "@everhold/base";

import { connectString, connectTo } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { answerTo, FakeServer, framed, granted, type Answer } from "../support/fake-server.ts";
import { groundOf } from "../support/ground.ts";
import { buffer, int } from "../support/raw-zookeeper.ts";

/** The first frame is a handshake; `lie` answers what follows, but for pings and closing. */
function granting(lie: (frame: Buffer) => Uint8Array): Answer {
  return (frame, index) => {
    if (index === 0) return granted();
    const operation = frame.readInt32BE(4);
    if (operation === -11 || operation === 11) return answerTo(frame, 0);
    return lie(frame);
  };
}

const huge = int(0x7fff_ffff);
const handshakeLies: Readonly<Record<string, Uint8Array>> = {
  "a negative length": Buffer.concat([int(-5), new Uint8Array(40)]),
  "a length beyond every limit": Buffer.concat([huge, new Uint8Array(40)]),
  "a handshake that is too short": framed(new Uint8Array(20)),
  "a handshake whose password never ends": framed(int(0), int(4000), new Uint8Array(8), huge),
  "the words of a web server": Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"),
};

const replyLies: Readonly<Record<string, (frame: Buffer) => Uint8Array>> = {
  "a negative length": () => int(-1),
  "a length beyond every limit": () => huge,
  "an answer to nobody's request": () => framed(int(4711), new Uint8Array(12)),
  "a header that is cut": () => framed(new Uint8Array(9)),
  "two thousand million children": (frame) => answerTo(frame, 0, huge, new Uint8Array(100)),
  "fewer than no children": (frame) => answerTo(frame, 0, int(-7), new Uint8Array(100)),
  "a name that is longer than the frame": (frame) => answerTo(frame, 0, int(1), huge),
  "a notification without a path": (frame) =>
    Buffer.concat([framed(int(-1), new Uint8Array(12), int(3), int(3), huge), answerTo(frame, 0)]),
};

describe("servers that lie", () => {
  let ensemble: Ensemble;
  const ground = groundOf();
  before(async () => {
    ensemble = ground.own(await Ensemble.start({ version: "3.9.5", size: 1 }));
  });

  for (const [name, lie] of Object.entries(handshakeLies)) {
    it(`${name} in the place of a handshake leads the client to the next server`, async () => {
      using liar = await FakeServer.start(() => lie);
      const [{ clientPort } = { clientPort: 0 }] = ensemble.servers;
      await using client = await connectTo(connectString(liar.port, clientPort));
      assert.equal(client.server, `127.0.0.1:${clientPort}`);
      await assert.rejects(connectTo(connectString(liar.port), { connectTimeout: 500 }), isTyped);
    });
  }

  for (const [name, lie] of Object.entries(replyLies)) {
    it(`${name} in an answer fails the call, and the client connects anew`, async () => {
      using liar = await FakeServer.start(granting(lie));
      await using client = await connectTo(connectString(liar.port));
      await assert.rejects(client.getChildren("/a", { timeout: 20_000, retry: false }), isTyped);
      await client.ready({ timeout: 60_000 });
      assert.equal(liar.connectionCount, 2);
    });
  }

  it("answers at random end connections, never the process, and take no memory", async (context) => {
    const random = pseudoRandom(20_261_122);
    const answer = granting((frame) => {
      const bytes = Buffer.alloc(16 + (random() % 64)).map(() => random() % 256);
      return random() % 2 === 0 ? framed(bytes) : answerTo(frame, 0, bytes, buffer("x"));
    });
    // Many, because a client pauses when it has been to all of them.
    const ports: number[] = [];
    for (let count = 0; count < 10; count += 1) {
      const liar = await FakeServer.start(answer);
      context.after(() => liar[Symbol.dispose]());
      ports.push(liar.port);
    }
    await using client = await connectTo(connectString(...ports));
    const rssBefore = process.memoryUsage().rss;
    for (let count = 0; count < 30; count += 1) {
      await Promise.all([
        client.getChildren("/a", { retry: false }).catch(typedOnly),
        client.getAcl("/a", { retry: false }).catch(typedOnly),
        client.whoAmI({ retry: false }).catch(typedOnly),
      ]);
    }
    assert.ok(process.memoryUsage().rss - rssBefore < 200 * 1024 * 1024);
  });
});

function isTyped(error: unknown): boolean {
  assert.ok(EverholdError.is(error), String(error));
  return true;
}

/** That an answer made sense by chance is no failure. */
function typedOnly(error: unknown): void {
  isTyped(error);
}

/** Numbers that look random and are the same in every run (mulberry32). */
function pseudoRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}
