import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Frame } from "@everhold/group";
import { TestWorld } from "@everhold/test-world";
import type { Piece } from "../driver/member-journal.ts";
import { limits } from "../limits.ts";
import { PieceExchange } from "./piece-exchange.ts";

const right: Piece = { position: 8, end: 24, chain: "", bytes: Uint8Array.of(1, 2, 3) };

/** One member, and what it sends. */
class Side {
  readonly world = new TestWorld(1);
  readonly sent: { readonly link: number; readonly frame: Frame }[] = [];
  readonly ended: number[] = [];
  /** What its journal has. */
  piece: Promise<Piece | null> = Promise.resolve(right);
  readonly exchange = new PieceExchange({
    ports: this.world.ports,
    journal: { readPiece: () => this.piece },
    links: {
      send: (link, frame) => void this.sent.push({ link, frame }),
      disconnect: (link) => void this.ended.push(link),
    },
    epoch: () => 3,
  });

  given(link: number, position: number, bytes: Uint8Array): void {
    const end = position + 16;
    this.exchange.onFrame(link, { kind: "pieceGiven", epoch: 3, position, end, piece: bytes });
  }

  get askedLinks(): number[] {
    return this.sent.map(({ link }) => link);
  }
}

describe("a piece that is damaged here", () => {
  it("is asked for of one member after the other, until one gives it", async () => {
    const side = new Side();
    const fetched = side.exchange.fetch(8, [5, 6, 7]);
    await side.world.settle();
    side.given(5, 8, new Uint8Array(0));
    await side.world.settle();
    assert.deepEqual(side.sent[1], { link: 6, frame: { kind: "pieceAsk", epoch: 3, position: 8 } });
    const bytes = Uint8Array.of(9, 9);
    side.given(6, 8, bytes);
    // The frame's memory is used again.
    bytes.fill(0);
    assert.deepEqual(await fetched, { position: 8, end: 24, bytes: Uint8Array.of(9, 9) });
    assert.deepEqual(side.askedLinks, [5, 6]);
  });

  it("is not waited for of a member that is gone, or says nothing", async () => {
    const side = new Side();
    const fetched = side.exchange.fetch(8, [5, 6]);
    side.exchange.forget(5);
    await side.world.settle();
    assert.deepEqual(side.askedLinks, [5, 6]);
    await side.world.advance(limits.pieceWaitMs - 1);
    assert.equal(await side.world.isPending(fetched), true);
    await side.world.advance(1);
    assert.equal(await side.world.now(fetched), null);
  });

  it("is not taken of whom it was not asked of, nor another one", async () => {
    const side = new Side();
    const fetched = side.exchange.fetch(8, [5]);
    side.given(6, 8, Uint8Array.of(1));
    side.given(5, 24, Uint8Array.of(1));
    side.given(5, 8, Uint8Array.of(2));
    side.given(5, 8, Uint8Array.of(3));
    assert.deepEqual(await fetched, { position: 8, end: 24, bytes: Uint8Array.of(2) });
  });

  it("is asked for no more when the member does nothing more", async () => {
    const side = new Side();
    const fetched = side.exchange.fetch(8, [5, 6]);
    side.exchange.close();
    assert.equal(await fetched, null);
    assert.deepEqual(side.askedLinks, [5]);
  });
});

describe("a member that is asked for a piece", () => {
  it("gives what its journal has, and says where it has nothing", async () => {
    const side = new Side();
    const ask: Frame<"pieceAsk"> = { kind: "pieceAsk", epoch: 3, position: 8 };
    side.exchange.onFrame(5, ask);
    await side.world.settle();
    side.piece = Promise.resolve(null);
    side.exchange.onFrame(5, ask);
    await side.world.settle();
    const epoch = 3;
    assert.deepEqual(
      side.sent.map(({ frame }) => frame),
      [
        { kind: "pieceGiven", epoch, position: 8, end: 24, piece: right.bytes },
        { kind: "pieceGiven", epoch, position: 8, end: 8, piece: new Uint8Array(0) },
      ],
    );
  });

  it("ends the link of one that asks for too much at once, and answers no link that is gone", async () => {
    const side = new Side();
    const ask: Frame<"pieceAsk"> = { kind: "pieceAsk", epoch: 3, position: 8 };
    for (let count = 0; count < limits.pieceReadsMax; count += 1) side.exchange.onFrame(5, ask);
    assert.deepEqual(side.ended, []);
    side.exchange.onFrame(5, ask);
    assert.deepEqual(side.ended, [5]);
    side.exchange.forget(5);
    await side.world.settle();
    assert.deepEqual(side.sent, []);
  });
});
