/**
 * Has things happen later, in their order: what a slow link does to what comes from one end of it.
 */
export class LateLine {
  /** What comes from now on happens so many ms later. What came before keeps its time, and its place. */
  delayMs: number;
  readonly #waiting: { readonly dueMs: number; readonly happen: () => void }[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(delayMs = 0) {
    this.delayMs = delayMs;
  }

  /** At once where nothing is late. */
  add(happen: () => void): void {
    if (this.delayMs === 0 && this.#waiting.length === 0) return happen();
    this.#waiting.push({ dueMs: performance.now() + this.delayMs, happen });
    this.#wait();
  }

  /** Forgets what has not happened. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting.length = 0;
  }

  #wait(): void {
    const [first] = this.#waiting;
    if (this.#timer !== undefined || first === undefined) return;
    const leftMs = Math.max(0, Math.ceil(first.dueMs - performance.now()));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      while ((this.#waiting[0]?.dueMs ?? Infinity) <= performance.now()) {
        this.#waiting.shift()?.happen();
      }
      this.#wait();
    }, leftMs);
  }
}
