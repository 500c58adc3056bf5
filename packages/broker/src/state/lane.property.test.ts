import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Lane } from "./lane.ts";
import { RowStore } from "./row-store.ts";

interface ModelRow {
  readonly sequence: number;
  readonly position: number;
  isReady: boolean;
}

type Step = readonly [kind: "add" | "take" | "takeAny" | "back" | "remove" | "commit", at: number];

const step: fc.Arbitrary<Step> = fc.tuple(
  fc.constantFrom("add", "add", "take", "take", "takeAny", "back", "remove", "commit"),
  fc.nat(),
);

/** A lane beside a plain array that does the same. */
class LaneAndModel {
  readonly rows = new RowStore();
  readonly lane = new Lane(this.rows);
  model: ModelRow[] = [];
  commit = 0;
  end = 0;

  run([kind, at]: Step): void {
    if (kind === "add") this.add();
    else if (kind === "commit") this.commit = this.end;
    else if (kind === "take") this.takeFirst();
    else if (kind === "takeAny")
      this.#onSome(
        this.model.filter((row) => row.isReady),
        at,
        "take",
      );
    else if (kind === "back")
      this.#onSome(
        this.model.filter((row) => !row.isReady),
        at,
        "giveBack",
      );
    else this.#onSome(this.model, at, "remove");
  }

  add(): void {
    const sequence = this.lane.nextSequence;
    this.rows.writeRow(this.lane.add(sequence), this.end, 8, 100, 0);
    this.model.push({ sequence, position: this.end, isReady: true });
    this.end += 8;
  }

  takeFirst(): void {
    const expected = this.expectedFirst();
    assert.equal(this.lane.first(this.commit), expected?.sequence ?? -1);
    if (expected === undefined) return;
    this.lane.take(expected.sequence);
    expected.isReady = false;
  }

  expectedFirst(): ModelRow | undefined {
    return this.model.find((row) => row.isReady && row.position < this.commit);
  }

  check(): void {
    this.lane.assertInvariants();
    this.rows.assertInvariants();
    assert.equal(this.lane.rowCount, this.model.length);
    assert.equal(this.lane.readyCount, this.model.filter((row) => row.isReady).length);
    assert.equal(this.lane.first(this.commit), this.expectedFirst()?.sequence ?? -1);
  }

  checkAll(): void {
    const found: number[] = [];
    for (let next = this.lane.liveFrom(0); next >= 0; next = this.lane.liveFrom(next + 1)) {
      found.push(next);
    }
    assert.deepEqual(
      found,
      this.model.map((row) => row.sequence),
    );
    for (const { sequence, position, isReady } of this.model) {
      assert.equal(this.rows.position(this.lane.find(sequence)), position);
      assert.equal(this.lane.isReady(sequence), isReady);
    }
    assert.equal(this.lane.find(this.lane.nextSequence), -1);
  }

  #onSome(from: ModelRow[], at: number, what: "take" | "giveBack" | "remove"): void {
    const row = from[at % Math.max(1, from.length)];
    if (row === undefined) return;
    if (what === "remove") {
      assert.equal(this.lane.remove(row.sequence), row.isReady);
      this.model = this.model.filter((other) => other !== row);
    } else {
      this.lane[what](row.sequence);
      row.isReady = what === "giveBack";
    }
  }
}

describe("Lane", () => {
  it("does what an array does, whatever the order of calls", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const both = new LaneAndModel();
        for (const one of steps) {
          both.run(one);
          both.check();
        }
        both.checkAll();
      }),
      { numRuns: 300 },
    );
  });

  it("does so over many blocks and holes, too", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 100, max: 1500 }),
        fc.array(step, { minLength: 200, maxLength: 1500 }),
        (count, steps) => {
          const both = new LaneAndModel();
          for (let index = 0; index < count; index += 1) both.add();
          both.commit = both.end;
          for (const one of steps) both.run(one[0] === "add" ? ["remove", one[1]] : one);
          both.check();
          both.checkAll();
        },
      ),
      { numRuns: 40 },
    );
  });

  it("gives returned rows out before later ones, in their old order", () => {
    const both = new LaneAndModel();
    for (let index = 0; index < 200; index += 1) both.add();
    both.commit = both.end;
    for (let index = 0; index < 150; index += 1) both.takeFirst();
    for (const sequence of [120, 3, 77, 40]) both.lane.giveBack(sequence);
    const order: number[] = [];
    for (let index = 0; index < 6; index += 1) {
      const sequence = both.lane.first(both.commit);
      both.lane.take(sequence);
      order.push(sequence);
    }
    assert.deepEqual(order, [3, 40, 77, 120, 150, 151]);
  });

  it("hides a held row and all behind it until its record is committed", () => {
    const both = new LaneAndModel();
    both.add();
    both.add();
    both.lane.hold(1000, 16);
    both.end = 1008;
    both.add();
    assert.equal(both.lane.first(16), 0);
    both.lane.take(0);
    assert.equal(both.lane.first(16), -1);
    assert.equal(both.lane.first(1000), -1);
    assert.equal(both.lane.first(1001), 1);
  });

  it("keeps a stuck row and forgets the blocks of the millions that passed it", () => {
    const rows = new RowStore();
    const lane = new Lane(rows);
    rows.writeRow(lane.add(0), 0, 8, 100, 0);
    for (let sequence = 1; sequence <= 300_000; sequence += 1) {
      rows.writeRow(lane.add(sequence), sequence * 8, 8, 100, 0);
      lane.remove(sequence);
    }
    lane.assertInvariants();
    assert.equal(lane.first(8), 0);
    assert.ok(rows.allocatedBytes < 8_000_000);
  });

  it("takes at most 48 bytes a row for a million rows in one lane, and gives the memory back", () => {
    const rows = new RowStore();
    const lane = new Lane(rows);
    const before = process.memoryUsage().arrayBuffers;
    for (let sequence = 0; sequence < 1_000_000; sequence += 1) {
      rows.writeRow(lane.add(sequence), sequence * 1024, 40, 1000, 0);
    }
    const grown = process.memoryUsage().arrayBuffers - before;
    // 24 bytes a row and 12 a block, rounded up to whole slabs.
    assert.ok(rows.allocatedBytes <= 28_000_000, `${rows.allocatedBytes} bytes`);
    assert.ok(grown <= 48_000_000, `${grown} bytes`);
    lane.clear(() => {});
    assert.equal(lane.rowCount, 0);
    // One empty slab of each size of block is kept.
    assert.ok(rows.allocatedBytes <= 2 * 1_700_000);
  });

  it("takes at most 48 bytes a row for 8 rows in each of 20,000 lanes", () => {
    const rows = new RowStore();
    for (let index = 0; index < 20_000; index += 1) {
      const lane = new Lane(rows);
      for (let sequence = 0; sequence < 8; sequence += 1) {
        rows.writeRow(lane.add(sequence), 0, 0, 0, 0);
      }
    }
    assert.ok(rows.allocatedBytes / 160_000 <= 48);
  });
});
