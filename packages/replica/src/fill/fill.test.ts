import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { describe, it } from "node:test";
import { deferred } from "@everhold/base";
import type { Frame } from "@everhold/group";
import { TestWorld } from "@everhold/test-world";
import type { FillSource, SuppliedPiece } from "../driver/member-journal.ts";
import { limits } from "../limits.ts";
import { FillClient, type FillTarget } from "./fill-client.ts";
import { FillServer } from "./fill-server.ts";

const pieceBytes = 1024 * 1024;
const link = 7;

/** Files of so many bytes, in memory. */
class Files implements FillSource {
  readonly commitPosition = 5;
  readonly files: FillSource["files"];
  isClosed = false;
  readonly #contents: readonly Uint8Array[];

  constructor(sizes: readonly number[]) {
    this.#contents = sizes.map((size, file) =>
      Uint8Array.from({ length: size }, (_, index) => (file + index * 31) % 251),
    );
    this.files = sizes.map((bytes, file) => ({ name: `file-${file}`, bytes }));
  }

  async read(file: number, position: number, into: Uint8Array): Promise<number> {
    const bytes = this.#contents[file]?.subarray(position, position + into.length);
    if (bytes === undefined || bytes.length === 0) throw new Error("nothing lies there");
    into.set(bytes);
    return bytes.length;
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  get all(): Uint8Array {
    return Buffer.concat(this.#contents);
  }
}

/** A folder in memory. */
class Target implements FillTarget {
  readonly pieces: Uint8Array[] = [];
  state: "open" | "complete" | "given up" = "open";

  async write(bytes: Uint8Array): Promise<void> {
    this.pieces.push(bytes);
  }

  async complete(): Promise<void> {
    this.state = "complete";
  }

  async readPiece(position: number): Promise<SuppliedPiece | null> {
    return position === 88 ? { position, end: 99, bytes: Uint8Array.of(1, 2) } : null;
  }

  async abandon(): Promise<void> {
    if (this.state === "open") this.state = "given up";
  }
}

/** A client and a server, and what passes between them. */
class Filling {
  readonly world = new TestWorld(1);
  readonly target = new Target();
  readonly source: Files;
  readonly client: FillClient;
  readonly server: FillServer;
  readonly run: Promise<void>;
  /** What becomes of a frame of the live. */
  change: (frame: Frame) => Frame | undefined = (frame) => frame;
  /** What it gave the live of its own. */
  readonly given: Frame<"pieceGiven">[] = [];
  openReads = 0;
  openReadsMax = 0;
  isLinkEnded = false;

  constructor(sizes: readonly number[]) {
    this.source = new Files(sizes);
    const ports = { ...this.world.ports, hash: { crc32 } };
    const later = (work: () => void): void => void ports.timers.after(1, work);
    const disconnect = (): void => {
      if (this.isLinkEnded) return;
      this.isLinkEnded = true;
      later(() => {
        this.client.onDisconnected(link);
        this.server.forget(link);
      });
    };
    this.server = new FillServer({
      ports,
      journal: { openFill: async () => this.source },
      links: {
        disconnect,
        send: (_link, frame) => {
          const changed = this.change(frame);
          if (frame.kind === "fillData") this.openReads -= 1;
          if (changed !== undefined) later(() => this.client.onFrame(link, changed));
        },
      },
    });
    this.client = new FillClient({
      ...{ ports, live: "anna", epoch: 3 },
      links: {
        disconnect,
        follow: () => undefined,
        send: (_link, frame) => {
          if (frame.kind === "pieceGiven") return void this.given.push(frame);
          assert.ok(frame.kind === "fillAsk" || frame.kind === "fillRead");
          if (frame.kind === "fillRead") this.openReads += 1;
          this.openReadsMax = Math.max(this.openReadsMax, this.openReads);
          later(() => this.server.onFrame(link, frame, 3));
        },
      },
      open: async () => this.target,
    });
    this.run = this.client.run();
    this.run.catch(() => undefined);
    this.client.onConnected(link, "anna", true);
  }

  async pass(timeMs = 200): Promise<void> {
    for (let step = 0; step < 50; step += 1) await this.world.advance(timeMs / 50);
  }
}

describe("a fill", () => {
  it("brings every byte of every file in order, a few pieces ahead of the disk", async () => {
    const filling = new Filling([10, 3 * pieceBytes, 1, pieceBytes + 5]);
    await filling.pass();
    await filling.run;
    assert.equal(filling.target.state, "complete");
    assert.deepEqual(Buffer.concat(filling.target.pieces), filling.source.all);
    const all = filling.source.all.length;
    assert.deepEqual(filling.client.progress, { doneBytes: all, totalBytes: all });
    assert.ok(filling.openReadsMax > 1 && filling.openReadsMax <= limits.fillReadsMax);
    assert.equal(filling.source.isClosed, false, "it can be followed from there for a while");
    await filling.pass(limits.fillHoldMs * 2);
    assert.equal(filling.source.isClosed, true);
  });

  const lies: readonly (readonly [string, RegExp, (frame: Frame) => Frame | undefined])[] = [
    ["damaged bytes", /damaged/, onData((data) => ({ ...data, checksum: data.checksum ^ 1 }))],
    ["another place", /at 1$/, onData((data) => ({ ...data, position: data.position + 1 }))],
    ["another file", /file 1 at 0$/, onData((data) => ({ ...data, file: data.file + 1 }))],
    ["fewer bytes", /9 bytes/, onData((data) => ({ ...data, bytes: data.bytes.subarray(1) }))],
    ["an older epoch", /epoch 2/, (frame) => ({ ...frame, epoch: 2 })],
    ["what nobody asked for", /handOver/, () => ({ kind: "handOver", epoch: 3 })],
    ["nothing", /nothing came/, onData(() => undefined)],
  ];
  for (const [what, message, change] of lies) {
    it(`leaves the folder as it was when the live sends ${what}`, async () => {
      const filling = new Filling([10, 20]);
      filling.change = change;
      await filling.pass(limits.fillSilentMs * 2);
      await assert.rejects(filling.run, { code: "EVH_PROTOCOL", message });
      assert.notEqual(filling.target.state, "complete");
    });
  }

  it("goes on when the live asks for what is damaged of its own, and gives what its folder still has", async () => {
    const filling = new Filling([10 * pieceBytes]);
    await filling.pass(5);
    filling.client.onFrame(link, { kind: "pieceAsk", epoch: 3, position: 77 });
    filling.client.onFrame(link, { kind: "pieceAsk", epoch: 3, position: 88 });
    await filling.pass();
    await filling.run;
    assert.equal(filling.target.state, "complete");
    const piece = new Uint8Array(0);
    assert.deepEqual(filling.given, [
      { kind: "pieceGiven", epoch: 3, position: 77, end: 77, piece },
      { kind: "pieceGiven", epoch: 3, position: 88, end: 99, piece: Uint8Array.of(1, 2) },
    ]);
  });

  it("ends with its link, and when it is closed", async () => {
    const broken = new Filling([10 * pieceBytes]);
    await broken.pass(5);
    broken.client.onDisconnected(link);
    await broken.pass();
    await assert.rejects(broken.run, { code: "EVH_PROTOCOL" });
    assert.equal(broken.target.state, "given up");
    const closed = new Filling([10 * pieceBytes]);
    await closed.pass(5);
    closed.client.close();
    await closed.pass();
    await assert.rejects(closed.run, { code: "EVH_CLOSED" });
    assert.equal(closed.target.state, "given up");
  });

  it("tells what its disk says, and waits for what is under way before it gives the folder back", async () => {
    const filling = new Filling([10, 10]);
    const written = deferred<undefined>();
    filling.target.write = () => written.promise;
    await filling.pass(20);
    filling.client.close();
    await filling.pass();
    assert.equal(filling.target.state, "open", "a write is under way");
    written.reject(new Error("the disk is gone"));
    await assert.rejects(filling.run);
    assert.equal(filling.target.state, "given up");
  });
});

function onData(
  change: (data: Frame<"fillData">) => Frame | undefined,
): (frame: Frame) => Frame | undefined {
  return (frame) => (frame.kind === "fillData" ? change(frame) : frame);
}
