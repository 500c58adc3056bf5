import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Prng } from "@everhold/base";
import { JournalWorld, type Booted } from "./journal-world.test-support.ts";
import { fingerprintAfter, type Operation } from "./model-state.test-support.ts";

interface Row {
  readonly position: number;
  readonly length: number;
}

/** Everything at random, in several lives of one process, against a list of what was done. */
class Trial {
  readonly #seed: number;
  readonly #prng: Prng;
  readonly #world: JournalWorld;
  readonly #rows: Row[] = [];
  /** What survived so far, in order. */
  #history: readonly Operation[] = [];
  /** Everything before this position was confirmed in the last life. */
  #confirmed = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#prng = new Prng(seed);
    this.#world = new JournalWorld({
      seed,
      faults: {
        shortWriteProbability: 0.1,
        delayMsMin: 0,
        delayMsMax: this.#prng.pick([0, 1, 20]),
      },
    });
  }

  async run(): Promise<void> {
    for (let life = 0; life < 4; life += 1) await this.#live();
    const last = await this.#world.boot(this.#options());
    assert.equal(last.state.fingerprint(), this.#expected(last));
  }

  async #live(): Promise<void> {
    const booted = await this.#world.boot(this.#options());
    const before = this.#expected(booted);
    assert.equal(booted.state.fingerprint(), before, `seed ${this.#seed}`);
    // Rows are the broker's to restore; here they are simply counted again.
    this.#rows.length = 0;
    const steps = this.#prng.integer(5, 60);
    for (let step = 0; step < steps; step += 1) await this.#step(booted);
    if (this.#prng.chance(0.3)) {
      await booted.close();
      this.#world.crash({ fate: "lost" });
      this.#note(booted, Number.POSITIVE_INFINITY);
      return;
    }
    const confirmed = booted.journal.commitPosition;
    this.#world.crash({ power: this.#prng.chance(0.7) });
    this.#note(booted, confirmed);
  }

  /** What was certainly durable is fixed; of the rest, the next life finds a prefix. */
  #note(booted: Booted, confirmed: number): void {
    this.#history = [...this.#history, ...booted.state.operations];
    this.#confirmed = confirmed;
  }

  /** Cuts the history to what was found, after checking that it may be cut there. */
  #expected(booted: Booted): string {
    const { count } = booted.state;
    const lost = this.#history[count];
    if (lost !== undefined) {
      assert.ok(lost.position >= this.#confirmed, `seed ${this.#seed}: a confirmed record is lost`);
      const last = this.#history[count - 1];
      assert.ok(last === undefined || last.group !== lost.group || last.position > lost.position);
    }
    assert.ok(count <= this.#history.length);
    this.#history = this.#history.slice(0, count);
    return fingerprintAfter(this.#history, count);
  }

  async #step(booted: Booted): Promise<void> {
    const prng = this.#prng;
    const choice = prng.fraction();
    if (choice < 0.5) {
      const operation = booted.state.add(prng.integer(0, 6), prng.uint32(), prng.integer(8, 5000));
      if (prng.chance(0.5)) this.#keep(booted, operation);
    } else if (choice < 0.65) {
      booted.state.addGroup(
        Array.from({ length: prng.integer(1, 8) }, () => ({
          entity: prng.integer(0, 6),
          value: prng.uint32(),
          size: prng.integer(8, 2000),
        })),
      );
    } else if (choice < 0.8) {
      await booted.commit();
    } else if (choice < 0.85) {
      await this.#world.settle(booted.journal.snapshotNow());
    } else {
      await this.#readBack(booted);
    }
  }

  #keep(booted: Booted, { position, length }: Operation): void {
    booted.journal.retain(position, length);
    this.#rows.push({ position, length });
    const oldest = this.#rows.length > 10 ? this.#rows.shift() : undefined;
    if (oldest !== undefined) booted.journal.release(oldest.position, oldest.length);
  }

  async #readBack(booted: Booted): Promise<void> {
    const row = this.#rows[0];
    if (row === undefined || row.position >= booted.journal.commitPosition) return;
    const expected = booted.state.operations.find(({ position }) => position === row.position);
    const value = await this.#world.settle(
      new Promise<number>((resolve, reject) => {
        booted.journal.read(row.position, row.length, (error, _bytes, view, offset) => {
          if (error === undefined) resolve(view.getUint32(offset + 8));
          else reject(error);
        });
      }),
    );
    assert.equal(value, expected?.value);
  }

  #options(): Parameters<JournalWorld["boot"]>[0] {
    const prng = new Prng(this.#seed + 1);
    return {
      batchBytesMax: prng.pick([512, 4096, 16384]),
      snapshotBytes: prng.pick([20_000, 100_000]),
      tailCacheBytes: prng.pick([0, 32_768]),
      prepareAheadBytes: prng.pick([0, 16_384, 65_536]),
      spareCountMax: prng.pick([0, 2]),
    };
  }
}

test("whatever happens in whatever order, each life finds what the one before had confirmed", async () => {
  for (let seed = 0; seed < 80; seed += 1) {
    try {
      await new Trial(seed).run();
    } catch (error) {
      throw new Error(`trial with seed ${seed} failed`, { cause: error });
    }
  }
});
