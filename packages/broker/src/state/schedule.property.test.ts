import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Schedule } from "./schedule.ts";

interface Entry {
  readonly dueMs: number;
  readonly queueId: number;
  readonly key: number;
}

/** A schedule beside a plain list that does the same. */
class ScheduleAndModel {
  entries: Entry[] = [];
  readonly schedule = new Schedule((queueId, key, dueMs) =>
    this.entries.some((one) => one.queueId === queueId && one.key === key && one.dueMs === dueMs),
  );
  #nextKey = 0;

  add(dueMs: number): void {
    const entry = { dueMs, queueId: dueMs % 2, key: this.#nextKey };
    this.#nextKey += 32;
    this.entries.push(entry);
    this.schedule.add(entry.dueMs, entry.queueId, entry.key);
  }

  remove(at: number): void {
    if (this.entries.length === 0) return;
    this.entries.splice(at % this.entries.length, 1);
    this.schedule.forgetOne();
  }

  take(nowMs: number): void {
    const due = this.entries
      .filter((one) => one.dueMs <= nowMs)
      .toSorted((left, right) => left.dueMs - right.dueMs || left.key - right.key);
    const first = due[0];
    assert.equal(this.schedule.takeDue(nowMs), first !== undefined);
    if (first === undefined) return;
    assert.deepEqual([this.schedule.queueId, this.schedule.key], [first.queueId, first.key]);
    this.entries.splice(this.entries.indexOf(first), 1);
    this.schedule.forgetOne();
  }
}

const step = fc.tuple(fc.constantFrom("add", "add", "remove", "take"), fc.nat(60));

describe("the schedule", () => {
  it("gives what is due, the next one first, and of one time in the order of keys", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: "max" }), (steps) => {
        const both = new ScheduleAndModel();
        for (const [kind, at] of steps) {
          if (kind === "add") both.add(at);
          else if (kind === "remove") both.remove(at);
          else both.take(at);
          both.schedule.assertInvariants();
          assert.equal(both.schedule.count, both.entries.length);
        }
        while (both.entries.length > 0) both.take(60);
        assert.equal(both.schedule.nextMs, Number.POSITIVE_INFINITY);
      }),
    );
  });

  it("does not keep the memory of rows that were removed before their time", () => {
    const live = new Set<number>();
    const schedule = new Schedule((_queueId, key) => live.has(key));
    let bytesMax = 0;
    for (let key = 0; key < 50_000; key += 1) {
      live.add(key);
      schedule.add(1_000_000 - key, 1, key);
      if (key >= 100) {
        live.delete(key - 100);
        schedule.forgetOne();
      }
      bytesMax = Math.max(bytesMax, schedule.allocatedBytes);
    }
    assert.equal(schedule.count, 100);
    assert.ok(bytesMax <= 20 * 4_096, `${bytesMax} bytes for 100 rows`);
    schedule.assertInvariants();
  });

  it("gives its memory back when nothing waits any more", () => {
    const schedule = new Schedule(() => true);
    for (let key = 0; key < 10_000; key += 1) schedule.add(key, 1, key);
    for (let key = 0; key < 10_000; key += 1) schedule.forgetOne();
    assert.ok(schedule.allocatedBytes < 2_000);
    assert.equal(schedule.takeDue(Number.MAX_SAFE_INTEGER), false);
  });
});
