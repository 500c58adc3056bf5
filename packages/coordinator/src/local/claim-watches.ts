import { type Deferred, deferred } from "@everhold/base";
import type { Claims, ClaimWatch } from "@everhold/env";

interface Watched {
  readonly watch: ClaimWatch;
  /** Resolves when more is known, and when it is not watched any more. */
  readonly settled: Deferred<void>;
  state: "asked" | "held" | "gone";
}

/** What is known of the claims of a group's processes. */
export class ClaimWatches {
  readonly #claims: Claims;
  readonly #onChange: () => void;
  readonly #watched = new Map<string, Watched>();
  #isStopped = false;

  /** `onChange` is called when more is known of a claim. */
  constructor(claims: Claims, onChange: () => void) {
    this.#claims = claims;
    this.#onChange = onChange;
  }

  /** Watches these claims, and no others any more. */
  keep(names: readonly string[]): void {
    for (const [name, watched] of this.#watched) {
      if (names.includes(name)) continue;
      this.#end(watched);
      this.#watched.delete(name);
    }
    for (const name of names) this.#watch(name);
  }

  /** When it is known whether somebody has the claim, or it is not watched any more. */
  async settled(name: string): Promise<void> {
    await this.#watch(name)?.settled.promise;
  }

  isHeld(name: string): boolean {
    return this.#watched.get(name)?.state === "held";
  }

  isGone(name: string): boolean {
    return this.#watched.get(name)?.state === "gone";
  }

  stop(): void {
    this.#isStopped = true;
    this.keep([]);
  }

  #watch(name: string): Watched | undefined {
    const known = this.#watched.get(name);
    if (known !== undefined || this.#isStopped) return known;
    const tell = (state: "held" | "gone"): void => {
      watched.state = state;
      watched.settled.resolve();
      this.#onChange();
    };
    const watched: Watched = {
      watch: this.#claims.watch(name, {
        onHeld: () => tell("held"),
        onGone: () => tell("gone"),
      }),
      settled: deferred(),
      state: "asked",
    };
    this.#watched.set(name, watched);
    return watched;
  }

  #end({ watch, settled }: Watched): void {
    watch.stop();
    settled.resolve();
  }
}
