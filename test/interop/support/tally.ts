import assert from "node:assert/strict";

import { recordFigure } from "./figures.ts";
import { Outages } from "./outages.ts";

/** How often a long run says how far it is, in ms. */
const saysEveryMs = 10_000;

/** Of how many runs, the slowest, the figures say how long they took. */
const slowestCount = 5;

/** What came of one run, of one exchange or of several. */
interface Run {
  /** Promises that were broken. */
  readonly found: readonly string[];
  /** Calls that failed, with what they said. */
  readonly troubles: readonly string[];
}

/** What a tally is of. */
export interface TallyOptions {
  readonly name: string;
  /** How many runs there will be. */
  readonly runCount: number;
  /** Default: 1. */
  readonly exchangesPerRun?: number;
}

/** Counts what many exchanges come to, says every ten seconds how far they are, and judges at the end. */
export class Tally {
  /** Of the clients that whoever runs them has watched. */
  readonly outages = new Outages();
  readonly #options: TallyOptions;
  readonly #startMs = performance.now();
  readonly #found: string[] = [];
  readonly #troubles: string[] = [];
  #runCount = 0;
  #cutCount = 0;
  #killCount = 0;
  /** Of each run, in ms. */
  readonly #times: [name: string, ms: number][] = [];
  readonly #saying: NodeJS.Timeout;

  constructor(options: TallyOptions) {
    this.#options = options;
    this.#saying = setInterval(() => this.#say(), saysEveryMs).unref();
  }

  /** Counts one run; one that throws has broken a promise. @returns whether it came to its end */
  async count(name: string, work: () => Promise<Run>): Promise<boolean> {
    const startMs = performance.now();
    let isOver = false;
    try {
      const { found, troubles } = await work();
      this.#found.push(...found);
      this.#troubles.push(...troubles);
      isOver = true;
    } catch (error) {
      this.#found.push(`${name} failed: ${error instanceof Error ? error.stack : String(error)}`);
    }
    this.#runCount += 1;
    this.#times.push([name, Math.round(performance.now() - startMs)]);
    return isOver;
  }

  /** Connections were cut, or brokers killed. */
  happened({ cuts = 0, kills = 0 }: { readonly cuts?: number; readonly kills?: number }): void {
    this.#cutCount += cuts;
    this.#killCount += kills;
  }

  /** Leaves the figures, also of what went wrong, and throws where a promise was broken. */
  end(): void {
    clearInterval(this.#saying);
    const { name, exchangesPerRun = 1 } = this.#options;
    recordFigure(name, {
      exchanges: this.#runCount * exchangesPerRun,
      cuts: this.#cutCount,
      kills: this.#killCount,
      broken: this.#found.length,
      inDoubt: this.#inDoubt,
      longestOutageMs: this.outages.longestMs,
      seconds: this.#seconds,
      slowestMs: Object.fromEntries(
        this.#times.toSorted(([, one], [, other]) => other - one).slice(0, slowestCount),
      ),
      troubles: this.#countsOfTroubles(),
    });
    assert.deepEqual(this.#found, []);
  }

  get #inDoubt(): number {
    return this.#troubles.filter((trouble) => trouble.includes(" unknown")).length;
  }

  get #seconds(): number {
    return Math.round((performance.now() - this.#startMs) / 1000);
  }

  #say(): void {
    const { name, runCount } = this.#options;
    const far = `${this.#runCount} of ${runCount}, ${this.#found.length} broken promises`;
    process.stdout.write(`${name}: ${far}, ${this.#inDoubt} calls in doubt, ${this.#seconds} s\n`);
    for (const text of this.#found.slice(-1)) process.stdout.write(`${text}\n`);
  }

  #countsOfTroubles(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const trouble of this.#troubles.toSorted()) counts[trouble] = (counts[trouble] ?? 0) + 1;
    return counts;
  }
}
