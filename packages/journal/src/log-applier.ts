import { EverholdError } from "@everhold/base";
import type { Timers } from "@everhold/env";
import { advanceChain } from "./batch-format.ts";
import { applyBatch } from "./batch-records.ts";
import { Chain } from "./chain.ts";
import { diskError } from "./disk-io.ts";
import { limits } from "./limits.ts";
import type { PieceSource } from "./piece-source.ts";
import type { FollowingSink } from "./replicated-api.ts";

/** Who is told how far the sink is. */
export interface ApplierSurroundings {
  onApplied(): void;
  onFailed(error: EverholdError): void;
}

/** Hands the records of a log that others write to the sink, in order, up to where it may. */
export class LogApplier {
  readonly #timers: Timers;
  readonly #source: PieceSource;
  readonly #surroundings: ApplierSurroundings;
  readonly #chain = new Chain();
  #sink: Pick<FollowingSink, "applyRecord" | "endReign"> | undefined = undefined;
  #position = 0;
  #target = 0;
  #isAsked = false;
  #isStopped = false;

  constructor(timers: Timers, source: PieceSource, surroundings: ApplierSurroundings) {
    this.#timers = timers;
    this.#source = source;
    this.#surroundings = surroundings;
  }

  /** The sink has every record before it, and none behind it. A batch ends there. */
  get position(): number {
    return this.#position;
  }

  /** The chain value up to {@link position}. */
  get chain(): Chain {
    return this.#chain;
  }

  /** Goes on from `position`, which the sink has reached. */
  start(
    sink: Pick<FollowingSink, "applyRecord" | "endReign">,
    position: number,
    chain: Chain,
  ): void {
    this.#sink = sink;
    this.#position = position;
    this.#target = position;
    this.#chain.copyFrom(chain);
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** The sink may have what lies before `target`; also tells that there is more of it. */
  advance(target: number): void {
    this.#target = Math.max(this.#target, target);
    if (this.#isAsked || this.#isStopped || this.#position >= this.#target) return;
    this.#isAsked = true;
    this.#timers.atTurnEnd(this.#run);
  }

  readonly #run = (): void => {
    this.#isAsked = false;
    if (this.#isStopped) return;
    try {
      this.#applyTurn();
    } catch (error) {
      this.#isStopped = true;
      if (!EverholdError.is(error)) throw error;
      this.#surroundings.onFailed(error);
      return;
    }
    this.#surroundings.onApplied();
  };

  /** Hands over what one turn takes. */
  #applyTurn(): void {
    const turnEnd = this.#position + limits.applyTurnBytes;
    while (this.#position < this.#target) {
      if (this.#position >= turnEnd) return this.advance(this.#target);
      const found = this.#source.batchAt(this.#position);
      if (found === null) return undefined;
      if (found === "on disk") return this.#load();
      const { bytes, view, offset, position, lengthBytes, segment } = found;
      const end = position + lengthBytes;
      if (end > this.#target) return undefined;
      applyBatch(bytes, view, offset, position, segment.base, this.#sink);
      advanceChain(view, offset, this.#chain);
      this.#position = end;
    }
  }

  #load(): void {
    this.#isAsked = true;
    this.#source.loadMended(this.#position).then(this.#run, (error: unknown) => {
      if (this.#isStopped) return;
      this.#isStopped = true;
      this.#surroundings.onFailed(diskError(error, "read the log back"));
    });
  }
}
