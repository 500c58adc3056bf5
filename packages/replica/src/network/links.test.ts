import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Link, LinkHandler } from "@everhold/env";
import { assertNothingRuns, errorOf, type TestLink, TestWorld } from "@everhold/test-world";
import fc from "fast-check";
import { limits as packageLimits } from "../limits.ts";
import { limits } from "./limits.ts";
import { acknowledge, append, endpointOf, TestMember } from "./member.test-support.ts";

/** Members of one world. */
async function membersOf(world: TestWorld, ...ids: string[]): Promise<TestMember[]> {
  return Promise.all(ids.map((id) => new TestMember(id).open(world)));
}

/** A live `b` that `a` follows. */
async function linked(): Promise<{ world: TestWorld; a: TestMember; b: TestMember }> {
  const world = new TestWorld();
  const [a, b] = await membersOf(world, "a", "b");
  assert.ok(a !== undefined && b !== undefined);
  a.links.follow("b");
  await world.advance(1);
  return { world, a, b };
}

/** Somebody who connects to a member and keeps what it answers. */
class Stranger implements LinkHandler {
  link: Link | undefined;
  readonly heard: Uint8Array[] = [];
  isClosed = false;

  static async connect(world: TestWorld, id: string): Promise<Stranger> {
    const stranger = new Stranger();
    world.network.connect(endpointOf(id), {
      onConnected(link) {
        stranger.link = link;
        return stranger;
      },
      onFailed(error) {
        throw error;
      },
    });
    await world.settle();
    return stranger;
  }

  onData(bytes: Uint8Array): void {
    this.heard.push(bytes.slice());
  }

  onSent(): void {}
  onDrained(): void {}

  onClosed(): void {
    this.isClosed = true;
  }
}

function positions(member: TestMember): (number | undefined)[] {
  return member.frames.map(({ frame }) => ("position" in frame ? frame.position : undefined));
}

/** The end of a connection at who called. */
function lastLink(world: TestWorld): TestLink {
  const link = world.network.links.at(-1);
  assert.ok(link !== undefined);
  return link;
}

describe("a link between two members", () => {
  it("is told to both with the other's name, and to who called that it did", async () => {
    const { a, b } = await linked();
    assert.deepEqual(a.connected, [{ link: 1, id: "b", outgoing: true }]);
    assert.deepEqual(b.connected, [{ link: 1, id: "a", outgoing: false }]);
  });

  it("keeps the order of frames, both ways, and loses none", async () => {
    const { world, a, b } = await linked();
    for (let position = 0; position < 5000; position += 1) {
      a.links.send(a.link, acknowledge(position));
      b.links.send(b.link, acknowledge(position + 10_000));
    }
    await world.settle();
    const sent = Array.from({ length: 5000 }, (_, position) => position);
    assert.deepEqual(positions(b), sent);
    assert.deepEqual(
      positions(a),
      sent.map((position) => position + 10_000),
    );
  });

  it("sends small frames of one turn together", async () => {
    const { world, a } = await linked();
    const before = lastLink(world).sendCount;
    for (let position = 0; position < 10; position += 1)
      a.links.send(a.link, acknowledge(position));
    await world.settle();
    assert.equal(lastLink(world).sendCount - before, 1);
  });

  it("carries pieces of any size, among small frames, and copies them at once", async () => {
    const { world, a, b } = await linked();
    const sizes = [0, 1, 40_000, limits.partBytesMax - 1000, limits.partBytesMax, 7_000_000, 5];
    for (const [index, size] of sizes.entries()) {
      const piece = new Uint8Array(size).fill(index + 1);
      a.links.send(a.link, append(index, piece));
      piece.fill(0xaa);
      a.links.send(a.link, acknowledge(index));
    }
    await world.settle();
    const pieces = b.frames.flatMap(({ frame }) => (frame.kind === "append" ? [frame.piece] : []));
    assert.deepEqual(
      pieces.map(({ length }) => length),
      sizes,
    );
    for (const [index, piece] of pieces.entries()) {
      assert.ok(piece.every((byte) => byte === index + 1));
    }
    assert.equal(b.frames.length, sizes.length * 2);
  });

  it("carries pieces that use the buffers of former ones again", async () => {
    const { world, a, b } = await linked();
    for (let index = 0; index < 20; index += 1) {
      a.links.send(a.link, append(index, new Uint8Array(100_000 - index * 4000).fill(index)));
      await world.settle();
    }
    for (const [index, { frame }] of b.frames.entries()) {
      assert.ok(frame.kind === "append");
      assert.equal(frame.piece.length, 100_000 - index * 4000);
      assert.ok(frame.piece.every((byte) => byte === index));
    }
    assert.equal(b.frames.length, 20);
  });

  it("sends nothing of a frame that has a value which does not fit, and goes on", async () => {
    const { world, a, b } = await linked();
    a.links.send(a.link, acknowledge(1));
    assert.throws(() => a.links.send(a.link, acknowledge(-1)), RangeError);
    a.links.send(a.link, acknowledge(2));
    await world.settle();
    assert.deepEqual(positions(b), [1, 2]);
  });

  it("counts what the system has not taken, and tells when it is below the limit again", async () => {
    const { world, a } = await linked();
    a.links.send(a.link, append(0, new Uint8Array(packageLimits.shipWindowBytes)));
    assert.ok(a.links.queuedBytes(a.link) >= packageLimits.shipWindowBytes);
    assert.deepEqual(a.drained, []);
    await world.settle();
    assert.deepEqual(a.drained, [a.link]);
    assert.equal(a.links.queuedBytes(a.link), 0);
    a.links.send(a.link, acknowledge(1));
    await world.settle();
    assert.deepEqual(a.drained, [a.link]);
  });

  it("is ended when the system takes nothing of what was sent", async () => {
    const { world, a, b } = await linked();
    const { link } = a;
    lastLink(world).send = () => undefined;
    a.links.send(link, acknowledge(1));
    await world.advance(limits.stallMsMax - 1);
    assert.deepEqual(a.disconnected, []);
    await world.advance(limits.stallMsMax);
    assert.deepEqual(a.disconnected, [link]);
    assert.equal(b.disconnected.length, 1);
  });

  it("is not ended while the system takes some of what was sent, however slowly", async () => {
    const { world, a } = await linked();
    const end = lastLink(world);
    const held: Uint8Array[] = [];
    end.send = (bytes) => void held.push(bytes);
    a.links.send(a.link, append(0, new Uint8Array(limits.partBytesMax * 5)));
    await world.settle();
    assert.equal(held.length, 6);
    for (const part of held) {
      await world.advance(limits.stallMsMax - 1);
      end.handler?.onSent(part);
    }
    await world.advance(limits.stallMsMax * 3);
    assert.deepEqual(a.disconnected, []);
    assert.equal(a.links.queuedBytes(a.link), 0);
  });

  it("is ended when far more is sent than the system takes", async () => {
    const { world, a } = await linked();
    const { link } = a;
    lastLink(world).send = () => undefined;
    const piece = new Uint8Array(128 * 1024 * 1024);
    for (let index = 0; index < 4; index += 1) a.links.send(link, append(index, piece));
    await world.settle();
    assert.deepEqual(a.disconnected, []);
    await world.advance(1);
    assert.deepEqual(a.disconnected, [link]);
  });

  it("tells no frame after it was told to end, even of bytes that have come", async () => {
    const { world, a, b } = await linked();
    b.onEachFrame = (link) => b.links.disconnect(link);
    for (let position = 0; position < 10; position += 1)
      a.links.send(a.link, acknowledge(position));
    await world.settle();
    assert.deepEqual(positions(b), [0]);
    assert.equal(a.disconnected.length, 1);
    assert.equal(b.disconnected.length, 1);
  });

  it("may be told anything when it is gone", async () => {
    const { world, a } = await linked();
    const { link } = a;
    a.links.disconnect(link);
    await world.settle();
    a.links.send(link, acknowledge(1));
    a.links.disconnect(link);
    assert.equal(a.links.queuedBytes(link), 0);
    assert.deepEqual(a.disconnected, [link]);
  });

  it("is ended by bytes that are no frame, and the others go on", async () => {
    const { world, a, b } = await linked();
    const c = await new TestMember("c").open(world);
    c.links.follow("b");
    await world.advance(1);
    world.network.links[0]?.other?.receive(new Uint8Array([0, 0, 0, 2, 1, 99]));
    await world.settle();
    assert.deepEqual(b.disconnected, [1]);
    c.links.send(c.link, acknowledge(7));
    await world.settle();
    assert.deepEqual(positions(b), [7]);
    assert.equal(a.disconnected.length, 1);
  });

  it("is ended by a frame that announces more than the limit, and nothing is kept for it", async () => {
    const { world, b } = await linked();
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, limits.frameBytesMax - 3);
    lastLink(world).other?.receive(bytes);
    await world.settle();
    assert.deepEqual(b.disconnected, [1]);
  });

  it("is ended by any bytes that lie, without another error and without a frame", async () => {
    const lie = fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => {
      // No kind of frame has this number: bytes that happen to be a frame are no lie.
      bytes[1] = 0xee;
      return new Uint8Array([0, 0, 0, bytes.length, ...bytes]);
    });
    const pieces = fc.tuple(lie, fc.integer({ min: 1, max: 64 }));
    await fc.assert(
      fc.asyncProperty(pieces, async ([bytes, cut]) => {
        const { world, b } = await linked();
        const end = lastLink(world).other;
        end?.receive(bytes.slice(0, cut));
        end?.receive(bytes.slice(cut));
        await world.settle();
        assert.deepEqual([b.disconnected, b.frames], [[1], []]);
      }),
      { numRuns: 100 },
    );
  });
});

describe("who follows", () => {
  it("calls again when the link has broken, after a pause", async () => {
    const { world, a, b } = await linked();
    lastLink(world).cut(new Error("the cable"));
    await world.settle();
    assert.deepEqual([a.disconnected, b.disconnected], [[1], [1]]);
    assert.equal(world.network.connectCount, 1);
    await world.advance(limits.pauseMsMin * 3);
    assert.deepEqual(
      a.connected.map(({ link }) => link),
      [1, 2],
    );
    assert.equal(b.connected.length, 2);
  });

  it("calls again at once when a link has broken that stood for a while", async () => {
    const { world, a } = await linked();
    await world.advance(limits.lastingMs);
    lastLink(world).cut(new Error("the cable"));
    await world.settle();
    await world.advance(limits.pauseMsMin / 10);
    assert.deepEqual(
      a.connected.map(({ link }) => link),
      [1, 2],
    );
  });

  it("goes from one member to another, and ends the former link", async () => {
    const { world, a, b } = await linked();
    const c = await new TestMember("c").open(world);
    a.links.follow("c");
    await world.advance(1);
    assert.deepEqual(a.disconnected, [1]);
    assert.deepEqual(b.disconnected, [1]);
    assert.deepEqual(a.connected.at(-1), { link: 2, id: "c", outgoing: true });
    assert.equal(c.connected[0]?.id, "a");
    await world.advance(60_000);
    assert.equal(world.network.connectCount, 2);
  });

  it("keeps its link when it is told again whom to follow, and ends it for nobody", async () => {
    const { world, a } = await linked();
    a.links.follow("b");
    await world.advance(1);
    assert.deepEqual(a.disconnected, []);
    a.links.follow(null);
    await world.advance(60_000);
    assert.deepEqual(a.disconnected, [1]);
    assert.equal(world.network.connectCount, 1);
  });

  it("tells one that refuses from one that is silent, once for each attempt", async () => {
    const world = new TestWorld();
    const [a] = await membersOf(world, "a");
    world.network.silence({ host: "silent" });
    a?.links.follow("gone");
    await world.advance(1);
    assert.deepEqual(a?.unreachable, ["gone refused"]);
    a?.links.follow("silent");
    await world.advance(limits.connectMsMax - 1);
    assert.equal(a?.unreachable.length, 1);
    await world.advance(1);
    assert.deepEqual(a?.unreachable, ["gone refused", "silent silent"]);
  });

  it("tells one whose address is not known to be silent, and asks again for it", async () => {
    const world = new TestWorld();
    let isKnown = false;
    const addressOf = (id: string) => (isKnown ? endpointOf(id) : undefined);
    const a = await new TestMember("a").open(world, { addressOf });
    const [b] = await membersOf(world, "b");
    a.links.follow("b");
    assert.deepEqual(a.unreachable, []);
    await world.advance(1);
    assert.deepEqual(a.unreachable, ["b silent"]);
    isKnown = true;
    await world.advance(limits.pauseMsMax);
    assert.equal(b?.connected.length, 1);
  });

  it("pauses longer and longer, up to a limit, while nobody can be reached", async () => {
    const world = new TestWorld();
    const [a] = await membersOf(world, "a");
    a?.links.follow("gone");
    await world.advance(60_000);
    const count = world.network.connectCount;
    assert.ok(count >= 60_000 / limits.pauseMsMax);
    assert.ok(count < 100, String(count));
  });

  it("pauses longer and longer, too, while each link breaks as soon as it is made", async () => {
    const { world, a, b } = await linked();
    b.onEachFrame = (link) => b.links.disconnect(link);
    const greet = (): void => {
      if (a.disconnected.length < a.connected.length) a.links.send(a.link, acknowledge(1));
    };
    for (let passedMs = 0; passedMs < 60_000; passedMs += 100) {
      greet();
      await world.advance(100);
    }
    assert.ok(a.connected.length < 100, String(a.connected.length));
  });

  it("gives up an attempt when somebody else is to be followed", async () => {
    const world = new TestWorld();
    const [a] = await membersOf(world, "a");
    world.network.silence({ host: "silent" });
    a?.links.follow("silent");
    await world.advance(1);
    a?.links.follow(null);
    assert.equal(world.network.attempts.size, 0);
    await world.advance(60_000);
    assert.deepEqual(a?.unreachable, []);
  });

  it("refuses one that does not answer, and tells it to be silent", async () => {
    const world = new TestWorld();
    const [a] = await membersOf(world, "a");
    world.network.serve(endpointOf("mute"), () => new Stranger());
    a?.links.follow("mute");
    await world.advance(limits.greetingMsMax);
    assert.deepEqual(a?.refusals, ["late by us"]);
    assert.deepEqual(a?.unreachable, ["mute silent"]);
  });
});

describe("a stranger", () => {
  it("is refused for a wrong secret, group and name, and both logs say why", async () => {
    const wrong = [
      [{ secret: new Uint8Array(32).fill(9) }, "secret"],
      [{ groupId: "h" }, "group"],
      [{ addressOf: () => endpointOf("b") }, "name"],
    ] as const;
    for (const [options, reason] of wrong) {
      const world = new TestWorld();
      const a = await new TestMember("a").open(world, options);
      const b = await new TestMember("b").open(world);
      a.links.follow(reason === "name" ? "c" : "b");
      await world.advance(1);
      assert.deepEqual(b.refusals, [`${reason} by us`]);
      assert.deepEqual(a.refusals, [`${reason} by them`]);
      assert.deepEqual([a.connected, b.connected], [[], []]);
      assert.equal(a.unreachable.length, 1);
      assert.equal(world.network.openLinks.length, 0);
    }
  });

  it("is refused by who calls it when it does not know the secret", async () => {
    const world = new TestWorld();
    const [a] = await membersOf(world, "a");
    world.network.serve(endpointOf("b"), (link) => {
      const stranger = new Stranger();
      stranger.onData = () => {
        const bytes = new Uint8Array(4 + 33);
        bytes.set([0, 0, 0, 33, stranger.heard.length === 0 ? 2 : 4]);
        stranger.heard.push(bytes);
        link.send(bytes.slice());
      };
      return stranger;
    });
    a?.links.follow("b");
    await world.advance(1);
    assert.deepEqual(a?.refusals, ["secret by us"]);
    assert.deepEqual(a?.connected, []);
  });

  it("is refused for a member that calls itself", async () => {
    const world = new TestWorld();
    const [a] = await membersOf(world, "a");
    a?.links.follow("a");
    await world.advance(1);
    assert.deepEqual(a?.refusals, ["name by us", "name by them"]);
  });

  it("is refused for any bytes that are no greeting, and told so", async () => {
    const requests = ["GET / HTTP/1.1\r\n\r\n", "ARTEMIS", "\u0000\u0000\u0000\u0001x"];
    for (const request of requests) {
      const world = new TestWorld();
      const [b] = await membersOf(world, "b");
      const stranger = await Stranger.connect(world, "b");
      stranger.link?.send(new TextEncoder().encode(request));
      await world.settle();
      assert.deepEqual(b?.refusals, ["protocol by us"]);
      assert.deepEqual(stranger.heard, [new Uint8Array([0, 0, 0, 2, 5, 1])]);
      assert.ok(stranger.isClosed);
    }
  });

  it("is refused for a greeting of more than the limit, before it has come", async () => {
    const world = new TestWorld();
    const [b] = await membersOf(world, "b");
    const stranger = await Stranger.connect(world, "b");
    stranger.link?.send(new Uint8Array([0, 0, 4, 0]));
    await world.settle();
    assert.deepEqual(b?.refusals, ["protocol by us"]);
  });

  it("is refused when it says nothing in time, and cut off when it does not close", async () => {
    const world = new TestWorld();
    const [b] = await membersOf(world, "b");
    const stranger = await Stranger.connect(world, "b");
    const end = lastLink(world).other;
    assert.ok(end !== undefined);
    end.end = () => undefined;
    await world.advance(limits.greetingMsMax - 1);
    assert.deepEqual(b?.refusals, []);
    await world.advance(1);
    assert.deepEqual(b?.refusals, ["late by us"]);
    assert.ok(!stranger.isClosed);
    await world.advance(limits.farewellMsMax);
    assert.ok(stranger.isClosed);
  });

  it("makes room when too many are connected, and members are linked all the same", async () => {
    const world = new TestWorld();
    const [a, b] = await membersOf(world, "a", "b");
    assert.ok(a !== undefined && b !== undefined);
    const strangers: Stranger[] = [];
    for (let index = 0; index <= limits.strangerCountMax; index += 1) {
      strangers.push(await Stranger.connect(world, "b"));
    }
    assert.deepEqual(b.refusals, ["crowded by us"]);
    assert.deepEqual(
      strangers.map(({ isClosed }) => isClosed),
      strangers.map((_, index) => index === 0),
    );
    a.links.follow("b");
    await world.advance(1);
    assert.equal(b.connected.length, 1);
  });

  it("is cut off when too many do not close after they were refused", async () => {
    const world = new TestWorld();
    await membersOf(world, "b");
    const strangers: Stranger[] = [];
    for (let index = 0; index < limits.strangerCountMax + 5; index += 1) {
      const stranger = await Stranger.connect(world, "b");
      const end = lastLink(world).other;
      assert.ok(end !== undefined);
      end.end = () => undefined;
      stranger.link?.send(new TextEncoder().encode("nonsense"));
      await world.settle();
      strangers.push(stranger);
    }
    const closed = strangers.filter(({ isClosed }) => isClosed);
    assert.equal(closed.length, 5);
    assert.ok(strangers[0]?.isClosed);
  });
});

describe("who accepts", () => {
  it("ends the former link of a member that calls again", async () => {
    const { world, a, b } = await linked();
    const again = await new TestMember("a").open(world, { endpoint: { host: "new", port: 1 } });
    again.links.follow("b");
    await world.advance(1);
    assert.deepEqual(b.disconnected, [1]);
    assert.deepEqual(
      b.connected.map(({ link }) => link),
      [1, 2],
    );
    again.links.send(again.link, acknowledge(3));
    await world.settle();
    assert.deepEqual(b.frames[0]?.link, 2);
    assert.equal(a.disconnected.length, 1);
  });

  it("links no more members than the limit", async () => {
    const world = new TestWorld();
    const [b] = await membersOf(world, "b");
    const ids = Array.from({ length: limits.callerCountMax + 1 }, (_, index) => `m${index}`);
    const callers = await membersOf(world, ...ids);
    for (const caller of callers) caller.links.follow("b");
    await world.advance(1);
    assert.equal(b?.connected.length, limits.callerCountMax);
    assert.deepEqual(callers.at(-1)?.refusals, ["crowded by them"]);
  });

  it("may be linked to the same member both ways", async () => {
    const { world, a, b } = await linked();
    b.links.follow("a");
    await world.advance(1);
    assert.deepEqual(a.disconnected, []);
    assert.deepEqual(a.connected.at(-1), { link: 2, id: "b", outgoing: false });
  });
});

describe("links that are closed", () => {
  it("leave nothing behind, in any state", async () => {
    const { world, a, b } = await linked();
    await Stranger.connect(world, "b");
    const c = await new TestMember("c").open(world);
    c.links.follow("gone");
    await world.advance(1);
    await world.now(Promise.all([a, b, c].map(({ links }) => links.close())));
    await world.settle();
    assert.deepEqual([a.disconnected, b.disconnected], [[1], [1]]);
    assert.deepEqual(b.refusals, ["closing by us"]);
    assertNothingRuns(world);
  });

  it("accept nobody and call nobody any more, and may be closed again", async () => {
    const { world, a, b } = await linked();
    await world.now(b.links.close());
    await world.now(b.links.close());
    b.links.follow("a");
    await world.advance(limits.pauseMsMax * 2);
    assert.ok(a.unreachable.length > 0);
    assert.equal(a.unreachable[0], "b refused");
    assert.equal(b.connected.length, 1);
    assert.deepEqual(a.connected.length, 1);
  });

  it("are not opened with a secret that is too short", async () => {
    const world = new TestWorld();
    const opening = new TestMember("a").open(world, { secret: new Uint8Array(8) });
    assert.equal((await errorOf(opening)).code, "EVH_CONFIG");
    assertNothingRuns(world);
  });
});
