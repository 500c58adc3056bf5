import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Frame } from "@everhold/group";
import type { Links } from "../links.ts";
import { limits } from "../limits.ts";
import type { MemberJournal, Piece } from "./member-journal.ts";
import { Shipper } from "./shipper.ts";

const pieceBytes = 1024 * 1024;
const windowCount = limits.shipWindowBytes / pieceBytes;

/** A journal of as many pieces, the first of which are on the disk, and a link that notes what is sent. */
class Shipping {
  readonly sent: Frame<"append">[] = [];
  readonly pins: number[] = [];
  readonly loading: { readonly position: number; readonly done: () => void }[] = [];
  readonly shipper: Shipper;
  acknowledged = 0;
  queuedBytes = 0;
  isReleased = false;
  readonly #loaded = new Set<number>();

  constructor(pieceCount: number, onDiskCount = 0) {
    const journal: Pick<MemberJournal, "pieceAt" | "loadPiece" | "pin"> = {
      pieceAt: (position): Piece | "on disk" | null => {
        const index = position / pieceBytes;
        if (index >= pieceCount) return null;
        if (index < onDiskCount && !this.#loaded.has(position)) return "on disk";
        return { position, end: position + pieceBytes, chain: "", bytes: new Uint8Array(1) };
      },
      loadPiece: (position) =>
        new Promise((resolve) => {
          const done = (): void => {
            this.#loaded.add(position);
            resolve();
          };
          this.loading.push({ position, done });
        }),
      pin: (position) => {
        this.pins.push(position);
        return {
          move: (to) => void this.pins.push(to),
          release: () => {
            this.isReleased = true;
          },
        };
      },
    };
    const links: Pick<Links, "queuedBytes" | "send"> = {
      queuedBytes: () => this.queuedBytes,
      send: (_link, frame) => {
        if (frame.kind === "append") this.sent.push(frame);
      },
    };
    const onFailed = (error: unknown): void => assert.fail(String(error));
    const parts = { journal: journal as MemberJournal, links: links as Links, onFailed };
    this.shipper = new Shipper(parts, 7, 0, () => ({
      epoch: 3,
      commitPosition: 0,
      acknowledged: this.acknowledged,
    }));
  }
}

describe("the shipper of a journal", () => {
  it("has no more than a window on its way to the backup's disk", () => {
    const shipping = new Shipping(100);
    shipping.shipper.pump();
    assert.equal(shipping.sent.length, windowCount);
    shipping.shipper.pump();
    assert.equal(shipping.sent.length, windowCount);
    shipping.acknowledged = 3 * pieceBytes;
    shipping.shipper.pump();
    assert.equal(shipping.sent.length, windowCount + 3);
    assert.deepEqual(
      shipping.sent.map(({ position }) => position / pieceBytes),
      Array.from({ length: windowCount + 3 }, (_, index) => index),
    );
    assert.equal(shipping.pins.at(-1), (windowCount + 3) * pieceBytes);
  });

  it("sends nothing while the system takes nothing", () => {
    const shipping = new Shipping(5);
    shipping.queuedBytes = limits.shipWindowBytes;
    shipping.shipper.pump();
    assert.equal(shipping.sent.length, 0);
    shipping.queuedBytes = 0;
    shipping.shipper.pump();
    assert.equal(shipping.sent.length, 5);
  });

  it("what is on the disk is loaded first, one piece at a time, and what it may read is kept", async () => {
    const shipping = new Shipping(3, 2);
    shipping.shipper.pump();
    shipping.shipper.pump();
    assert.deepEqual(shipping.loading.length, 1);
    assert.equal(shipping.pins.at(-1), 0);
    shipping.loading[0]?.done();
    await Promise.resolve();
    assert.equal(shipping.sent.length, 1);
    shipping.loading[1]?.done();
    await Promise.resolve();
    assert.equal(shipping.sent.length, 3);
  });

  it("sends nothing more when its link is gone, also what was being loaded", async () => {
    const shipping = new Shipping(3, 2);
    shipping.shipper.pump();
    shipping.shipper.stop();
    shipping.loading[0]?.done();
    await Promise.resolve();
    assert.equal(shipping.sent.length, 0);
    assert.equal(shipping.isReleased, true);
  });
});
