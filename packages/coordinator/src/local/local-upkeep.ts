import { pause } from "@everhold/env";
import type { CoordinatorListener } from "@everhold/group";
import { messageOf } from "../group-access.ts";
import { limits } from "../limits.ts";
import type { ClaimWatches } from "./claim-watches.ts";
import type { GroupFolder, LocalPorts, Revision } from "./group-folder.ts";

/** What a {@link LocalUpkeep} works with. */
export interface LocalUpkeepParts {
  readonly ports: LocalPorts;
  readonly folder: GroupFolder;
  readonly watches: ClaimWatches;
  readonly listener: CoordinatorListener;
  readonly closing: AbortSignal;
  /** Writes again what stands for this process; whether it leads. */
  readonly restore: (revision: Revision) => Promise<boolean>;
}

/** Tells a listener what may have changed: when the folder's names have, when a claim has ended, and now and then. */
export class LocalUpkeep {
  readonly #parts: LocalUpkeepParts;
  #waking = new AbortController();
  #isDirty = true;
  #sign = "";
  #seenState: string | undefined;
  #seenMembers = "[]";
  #failure = "";
  #running: Promise<void> | undefined;

  constructor(parts: LocalUpkeepParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Looks at once. */
  wake(): void {
    this.#isDirty = true;
    this.#waking.abort();
  }

  /** When nothing is told any more. The coordinator is closing. */
  async stop(): Promise<void> {
    this.wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { ports, closing } = this.#parts;
    let nextLookMs = 0;
    while (!closing.aborted) {
      this.#waking = new AbortController();
      const isDue = ports.monotonicClock.nowMs() >= nextLookMs;
      try {
        const sign = await this.#parts.folder.sign();
        if (this.#isDirty || isDue || sign !== this.#sign) {
          this.#isDirty = false;
          await this.#look();
          this.#sign = sign;
          nextLookMs = ports.monotonicClock.nowMs() + limits.lookIntervalMs;
        }
        this.#failure = "";
      } catch (error) {
        this.#tellFailure(messageOf(error));
      }
      if (!this.#isDirty) await pause(ports, limits.localLookMs, this.#waking.signal);
    }
  }

  async #look(): Promise<void> {
    const { folder, watches, listener, closing, restore } = this.#parts;
    const revision = await folder.read();
    const { document, created } = revision ?? {};
    const { state = null, live = null, members = [], version = 0 } = document ?? {};
    const seen = state === null ? "none" : `${created} ${version}`;
    if (closing.aborted) return;
    if (seen !== this.#seenState) {
      this.#seenState = seen;
      listener.onStateMayHaveChanged();
    }
    watches.keep([...members, ...(live === null ? [] : [live])].map(({ claim }) => claim));
    const leads = revision !== undefined && (await restore(revision));
    if (closing.aborted) return;
    if (!leads && (live === null || watches.isGone(live.claim))) listener.onLiveGone();
    const addresses = members
      .filter(({ claim }) => watches.isHeld(claim))
      .map(({ address }) => address)
      .toSorted((one, other) => (one.replica.id < other.replica.id ? -1 : 1));
    const text = JSON.stringify(addresses);
    if (text === this.#seenMembers) return;
    this.#seenMembers = text;
    listener.onMembers(addresses);
  }

  /** Once for each reason: it is looked again and again. */
  #tellFailure(error: string): void {
    const { ports, folder } = this.#parts;
    // Nothing was seen: the next look tells what it finds.
    this.#sign = "";
    this.#isDirty = false;
    if (error === this.#failure) return;
    this.#failure = error;
    ports.log.warn("Group can't be looked at", { folder: folder.location, error });
  }
}
