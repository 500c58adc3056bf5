/** Parts that each doubling of the latency is cut into: 2.2 % from one to the next. */
const partsPerOctave = 32;
const octaves = 32;
const smallestMs = 0.001;

/** Counts latencies from 1 µs up, to tell percentiles to 2 % in constant memory. */
export class LatencyHistogram {
  readonly #counts = new Uint32Array(partsPerOctave * octaves);
  #total = 0;

  record(ms: number): void {
    const octave = Math.log2(Math.max(ms, smallestMs) / smallestMs);
    const index = Math.min(this.#counts.length - 1, Math.floor(octave * partsPerOctave));
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#total++;
  }

  /** The latency in ms that `share` (0 … 1) of all stayed within; 0 when there were none. */
  percentile(share: number): number {
    let seen = 0;
    for (const [index, count] of this.#counts.entries()) {
      seen += count;
      if (count > 0 && seen >= this.#total * share) {
        const ms = smallestMs * 2 ** ((index + 0.5) / partsPerOctave);
        return Math.round(ms * 1_000) / 1_000;
      }
    }
    return 0;
  }
}
