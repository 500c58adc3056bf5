import { pause } from "@everhold/env";
import type { CoordinatorListener, MemberAddress } from "@everhold/group";
import type { WatchStream } from "@everhold/zookeeper-core";
import { type GroupAccess, messageOf, patienceOf, untilAnswered } from "./group-access.ts";
import { limits } from "./limits.ts";

/** What is looked at. */
export interface UpkeepParts {
  readonly members: () => Promise<MemberAddress[]>;
  /** Makes the `live` node again if this process leads; whether it does. */
  readonly restoreLive: () => Promise<boolean>;
}

/**
 * Tells a listener what may have changed: after every event of a watch, every gap in one, and now and then. What it
 * tells may be old, and only wakes.
 */
export class Upkeep {
  readonly #access: GroupAccess;
  readonly #listener: CoordinatorListener;
  readonly #parts: UpkeepParts;
  #stream: WatchStream | undefined;
  #isDirty = true;
  /** Ends the pause between two looks. */
  #waking = new AbortController();
  /** What the group's node was when it was looked at last; `undefined` before. */
  #seenState: string | undefined;
  #seenMembers = "[]";
  #running: Promise<unknown> | undefined;

  constructor(access: GroupAccess, listener: CoordinatorListener, parts: UpkeepParts) {
    this.#access = access;
    this.#listener = listener;
    this.#parts = parts;
  }

  start(): void {
    this.#running = Promise.all([this.#watch(), this.#run()]);
  }

  /** When nothing is told any more. The coordinator is closing. */
  async stop(): Promise<void> {
    this.#stream?.close();
    this.#wake();
    await this.#running;
  }

  async #watch(): Promise<void> {
    const { client, paths, closing, ports } = this.#access;
    try {
      this.#stream = await untilAnswered(this.#access, (patience) =>
        client.watch(paths.group, { ...patience, recursive: true }),
      );
      if (closing.aborted) this.#stream.close();
      this.#wake();
      for await (const { type } of this.#stream) {
        if (closing.aborted) return;
        // Another connection or session: whoever waits for an outcome looks now.
        if (type === "gap") this.#listener.onStateMayHaveChanged();
        this.#wake();
      }
    } catch (error) {
      // Looking now and then still finds what changes.
      if (!closing.aborted) {
        ports.log.error("Group is not watched", { path: paths.group, error: messageOf(error) });
      }
    }
  }

  async #run(): Promise<void> {
    const { closing, ports, paths } = this.#access;
    while (!closing.aborted) {
      this.#isDirty = false;
      this.#waking = new AbortController();
      try {
        await this.#look();
      } catch (error) {
        if (closing.aborted) return;
        ports.log.warn("Group can't be looked at", { path: paths.group, error: messageOf(error) });
      }
      if (!this.#isDirty) await pause(ports, limits.lookIntervalMs, this.#waking.signal);
    }
  }

  async #look(): Promise<void> {
    const { client, paths } = this.#access;
    const patience = patienceOf(this.#access);
    const state = await client.exists(paths.state, patience);
    const seen = state === null ? "none" : `${state.czxid} ${state.mzxid}`;
    if (seen !== this.#seenState) {
      this.#seenState = seen;
      this.#listener.onStateMayHaveChanged();
    }
    if ((await client.exists(paths.live, patience)) === null) {
      if (!(await this.#parts.restoreLive())) this.#listener.onLiveGone();
    }
    const members = await this.#parts.members();
    const text = JSON.stringify(members);
    if (text === this.#seenMembers) return;
    this.#seenMembers = text;
    this.#listener.onMembers(members);
  }

  #wake(): void {
    this.#isDirty = true;
    this.#waking.abort();
  }
}
