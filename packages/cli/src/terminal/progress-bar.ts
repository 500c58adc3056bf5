import type { Terminal } from "./terminal.ts";

const redrawMs = 100;
const barCells = 28;
const barCellsMin = 8;
const eraseLine = "\r\u001B[2K";

/** What a progress bar shows. */
export interface ProgressOptions {
  readonly label: string;
  /** Unknown totals show a count without a bar. */
  readonly total?: number | undefined;
  /** Shows counts as they should be read, such as bytes. Default: with thousands separated. */
  readonly format?: (count: number) => string;
  /** Milliseconds since some moment. Default the system's. */
  readonly nowMs?: () => number;
}

/** Shows how far long work has come, on standard error, only where a person looks at it. */
export class ProgressBar {
  readonly #terminal: Pick<Terminal, "interactive" | "columns" | "writeError">;
  readonly #options: ProgressOptions;
  readonly #nowMs: () => number;
  readonly #startedMs: number;
  #drawnMs = Number.NEGATIVE_INFINITY;
  #isDrawn = false;

  constructor(
    terminal: Pick<Terminal, "interactive" | "columns" | "writeError">,
    options: ProgressOptions,
  ) {
    this.#terminal = terminal;
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#startedMs = this.#nowMs();
  }

  /** Tells how much is done; draws at most ten times a second. */
  update(count: number, note = ""): void {
    if (!this.#terminal.interactive) return;
    const nowMs = this.#nowMs();
    if (nowMs - this.#drawnMs < redrawMs) return;
    this.#drawnMs = nowMs;
    this.#isDrawn = true;
    const lineOf = (cells: number): string =>
      `${progressLine(this.#options, count, nowMs - this.#startedMs, cells)}${note === "" ? "" : `  ${note}`}`;
    // What went on over the end of the line would stay there: only one line is erased.
    const lengthMax = this.#terminal.columns - 1;
    const overflow = Math.max(0, lineOf(barCells).length - lengthMax);
    const line = lineOf(Math.max(barCellsMin, barCells - overflow)).slice(0, lengthMax);
    this.#terminal.writeError(`${eraseLine}${line}`);
  }

  /** Takes the bar away, so that what follows begins on an empty line. */
  clear(): void {
    if (this.#isDrawn) this.#terminal.writeError(eraseLine);
    this.#isDrawn = false;
    this.#drawnMs = Number.NEGATIVE_INFINITY;
  }
}

/** The text of a progress bar, without colours or line end. */
export function progressLine(
  options: ProgressOptions,
  count: number,
  elapsedMs: number,
  cells = barCells,
): string {
  const format = options.format ?? formatCount;
  const perSecond = elapsedMs > 0 ? (count * 1_000) / elapsedMs : 0;
  const rate = `${format(Math.round(perSecond))}/s`;
  const { total } = options;
  if (total === undefined) return `${options.label}  ${format(count)}  ${rate}`;
  const share = total === 0 ? 1 : Math.min(1, count / total);
  const filled = Math.round(share * cells);
  const bar = "█".repeat(filled) + "░".repeat(cells - filled);
  const percent = String(Math.floor(share * 100)).padStart(3);
  const leftSeconds = perSecond > 0 ? Math.ceil((total - count) / perSecond) : undefined;
  const left = leftSeconds === undefined || share === 1 ? "" : `  ${leftSeconds} s left`;
  return `${options.label}  ${bar} ${percent} %  ${format(count)} of ${format(total)}  ${rate}${left}`;
}

/** A whole number with its thousands apart: `200,000`. */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** Bytes as people say them: `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let index = 0;
  while (value >= 1024 && index < units.length - 1) {
    value /= 1024;
    index++;
  }
  const digits = index === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[index] ?? ""}`;
}
