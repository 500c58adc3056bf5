import {
  ClosedError,
  deferred,
  type Deferred,
  type ErrorCode,
  EventHub,
  EverholdError,
} from "@everhold/base";
import {
  Backoff,
  checkTimeout,
  type DeadlineMs,
  deadlineIn,
  pause,
  type Random,
  waitFor,
  type WaitOptions,
  type WaitPorts,
} from "@everhold/env";
import type { Caller } from "../api/caller.ts";
import { deleteNode } from "../api/delete.ts";
import { bytesOfData, type NodeData } from "../api/request-options.ts";
import { existsSpec } from "../api/request-spec.ts";
import { isReason, ZooKeeperError } from "../errors.ts";
import { operations } from "../protocol/operations.ts";
import type { Stat } from "../protocol/stat.ts";
import { asEverholdError } from "../session/session-errors.ts";
import type { WatchRequest } from "../watches/watch-request.ts";
import { managedLimits } from "./managed-limits.ts";
import { putInPlace, type NodeOwner, type Placed, type WantedNode } from "./put-in-place.ts";

/** What happens to a held node. */
export type HeldNodeEvent =
  /** It is there, in the session of this epoch; `stat.czxid` is another one than before where it was made anew. */
  | { readonly type: "held"; readonly epoch: number; readonly stat: Stat }
  /** It is gone, or may be; it is made again as soon as that can be done. */
  | { readonly type: "missing" }
  /** Somebody else, in the session `owner` (0n for a node that stays), has a node there. When it goes, ours is made. */
  | { readonly type: "conflict"; readonly owner: bigint }
  /** Making it failed; that is tried again. */
  | { readonly type: "error"; readonly error: EverholdError }
  /** It is held no more; the last event. */
  | { readonly type: "released" };

/** What a held node works with. */
export interface HeldNodeParts {
  readonly ports: WaitPorts & { readonly random: Pick<Random, "uint32"> };
  /** The calls of one session. */
  readonly callerIn: (epoch: number) => Caller;
  /** The session that is connected now, or will be. @throws what ends the client */
  readonly session: () => Promise<NodeOwner & { readonly epoch: number }>;
  /** Aborted when the client is closed. */
  readonly closed: AbortSignal;
  /** Whether a conflict ends it while it was never there. */
  readonly failsInConflict: boolean;
  /** What a listener threw, or what makes it stay though it is released. */
  readonly onError: (error: unknown) => void;
  /** It is released. */
  readonly onReleased: () => void;
}

/**
 * An ephemeral node that is kept there: made again in the next session when one is over, and when somebody deletes it.
 * Where somebody else has a node of the path it is let be, and ours is made when that goes.
 */
export class HeldNode {
  /** As whoever holds it wrote it. */
  readonly path: string;
  readonly #parts: HeldNodeParts;
  readonly #events = new EventHub<HeldNodeEvent>({
    last: "released",
    unreadCountMax: managedLimits.unreadEventCountMax,
  });
  readonly #backoff: Backoff;
  readonly #watch: WatchRequest;
  /** Ends pauses. */
  readonly #ending = new AbortController();
  #wanted: WantedNode;
  /** Counts what the node was to hold, from 0. */
  #wantedCount = 0;
  /** Who waits for what it is to hold to be there. */
  readonly #waiters = new Set<{ readonly count: number; readonly placed: Deferred<void> }>();
  #placed: (Placed & { readonly epoch: number }) | undefined;
  /** Whether it was there once: until then what fails is told to whoever asked for it, and ends it. */
  #wasHeld = false;
  #isDirty = false;
  #working: Promise<void> | undefined;
  #isFinished = false;
  #releasing: Promise<void> | undefined;

  constructor(parts: HeldNodeParts, wanted: WantedNode) {
    this.path = wanted.path;
    this.#parts = parts;
    this.#wanted = wanted;
    const { pauseMsMin: minMs, pauseMsMax: maxMs } = managedLimits;
    this.#backoff = new Backoff({ minMs, maxMs }, parts.ports.random);
    this.#watch = { kind: "exists", owner: this, onEvent: ({ type }) => this.#onChanged(type) };
  }

  /** Makes it, the first time. @throws as `update`; ZooKeeperError with reason NODEEXISTS in a conflict that is not waited out */
  begin(wait: Limits): Promise<void> {
    this.#kick();
    return this.#placedBy(wait);
  }

  /** The node's stat while it is there and ours, as far as the client knows; `undefined` otherwise. */
  get stat(): Stat | undefined {
    return this.#placed?.state === "held" ? this.#placed.stat : undefined;
  }

  /** Whether it is released, or about to be. */
  get isReleased(): boolean {
    return this.#ending.signal.aborted;
  }

  /** What happens to it from now on; ends when it is released. */
  events(): AsyncIterableIterator<HeldNodeEvent> {
    return this.#events.read();
  }

  /** Calls `listener` at each event of one type, until the returned function is called. */
  on<K extends HeldNodeEvent["type"]>(
    type: K,
    listener: (event: Extract<HeldNodeEvent, { readonly type: K }>) => void,
  ): () => void {
    return this.#events.on(type, listener);
  }

  /**
   * Changes what it holds, now and whenever it is made again. Resolves when it is there; where the wait ends first it
   * will be later. No time limit by default.
   */
  async update(data: NodeData, wait: WaitOptions = {}): Promise<void> {
    const bytes = bytesOfData("hold", data);
    if (this.isReleased) throw releasedError(this.path);
    this.#wanted = { ...this.#wanted, data: bytes };
    this.#wantedCount += 1;
    this.#kick();
    return this.#placedBy(this.#limited(wait));
  }

  /**
   * Deletes it, and makes it no more. Idempotent. Goes on in the background where the wait ends first, as long as the
   * session lives. No time limit by default.
   */
  release(wait: WaitOptions = {}): Promise<void> {
    return this.whenReleased(this.#limited(wait));
  }

  /** Releases it, too. */
  whenReleased(wait: Limits): Promise<void> {
    this.#releasing ??= this.#release();
    const subject = { attempt: `release ${this.path}`, outcome: () => "unknown" as const };
    return waitFor(this.#parts.ports, wait, subject, this.#releasing);
  }

  /** As {@link release}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** The session is over, and the node with it. */
  onSessionLost(): void {
    if (this.#placed === undefined) return;
    this.#placed = undefined;
    this.#emit({ type: "missing" });
    this.#kick();
  }

  /** The client is closed, and its session with it. */
  onClosed(): void {
    this.#end(releasedError(this.path));
    this.#finish();
  }

  /** Puts it in place by the calls of one session. @throws EverholdError */
  async placeIn(caller: Caller, session: NodeOwner & { readonly epoch: number }): Promise<Placed> {
    const count = this.#wantedCount;
    const { epoch } = session;
    const isLikelyThere = this.#placed?.state === "held" && this.#placed.epoch === epoch;
    const placed = await putInPlace(caller, this.#wanted, session, isLikelyThere);
    if (!this.isReleased) this.#onPlaced({ ...placed, epoch }, count);
    // What happened in between shows in what the watch is set on.
    const spec = existsSpec(caller.serverPath(operations.exists.name, this.path), this.#watch);
    const found = await caller.read(spec, {});
    const owner = placed.state === "held" ? session.sessionId : placed.owner;
    if (found?.ephemeralOwner !== owner) this.#isDirty = true;
    return placed;
  }

  #limited({ timeout, signal }: WaitOptions): Limits {
    const deadlineMs = deadlineIn(this.#parts.ports, checkTimeout(timeout, Infinity));
    return { deadlineMs, signal };
  }

  #onChanged(type: string): void {
    if (type === "closed" || this.isReleased) return;
    if (type === "deleted" && this.#placed !== undefined) {
      this.#placed = undefined;
      this.#emit({ type: "missing" });
    }
    this.#kick();
  }

  #onPlaced(placed: Placed & { readonly epoch: number }, count: number): void {
    const before = this.#placed;
    this.#placed = placed;
    if (placed.state === "conflict") {
      const { owner } = placed;
      if (before?.state !== "conflict" || before.owner !== owner) {
        this.#emit({ type: "conflict", owner });
      }
      if (this.#parts.failsInConflict && !this.#wasHeld) this.#rejectWaiters(this.#conflictError());
      return;
    }
    const { epoch, stat } = placed;
    this.#wasHeld = true;
    if (before?.state !== "held" || before.stat.czxid !== stat.czxid) {
      this.#emit({ type: "held", epoch, stat });
    }
    for (const waiter of this.#waiters) if (waiter.count <= count) waiter.placed.resolve();
  }

  #kick(): void {
    this.#isDirty = true;
    if (this.isReleased || this.#working !== undefined) return;
    this.#working = this.#work().finally(() => {
      this.#working = undefined;
      // Something may have happened when the work had ended and this had not come yet.
      if (this.#isDirty) this.#kick();
    });
  }

  /** Never rejects: what fails is tried again, or told. */
  async #work(): Promise<void> {
    while (this.#isDirty && !this.isReleased) {
      this.#isDirty = false;
      try {
        const session = await this.#parts.session();
        // Whoever has released it meanwhile must not see it come back, however briefly.
        if (this.isReleased) return;
        await this.placeIn(this.#parts.callerIn(session.epoch), session);
        this.#backoff.reset();
      } catch (error) {
        this.#isDirty = true;
        if (!this.isReleased) await this.#onFailed(error);
      }
    }
  }

  async #onFailed(error: unknown): Promise<void> {
    if (isOfConnection(error)) this.#backoff.reset();
    else if (!this.#wasHeld) this.#rejectWaiters(error);
    // That the client is closed is told when it is.
    else if (!this.#parts.closed.aborted) {
      this.#emit({ type: "error", error: asEverholdError(error) });
    }
    await pause(this.#parts.ports, this.#backoff.nextMs(), this.#ending.signal);
  }

  async #placedBy(wait: Limits): Promise<void> {
    const waiter = { count: this.#wantedCount, placed: deferred<void>() };
    this.#waiters.add(waiter);
    const subject = { attempt: `hold ${this.path}`, outcome: () => "unknown" as const };
    try {
      await waitFor(this.#parts.ports, wait, subject, waiter.placed.promise);
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  async #release(): Promise<void> {
    this.#end(releasedError(this.path));
    await this.#working;
    const { closed, ports } = this.#parts;
    while (!closed.aborted) {
      try {
        await this.#deleteOnce();
        break;
      } catch (error) {
        // The end of the client is the end of its session, and of the node.
        if (closed.aborted) break;
        if (!isPassing(error)) {
          this.#parts.onError(error);
          break;
        }
        await pause(ports, this.#backoff.nextMs(), closed);
      }
    }
    this.#finish();
  }

  async #deleteOnce(): Promise<void> {
    const session = await this.#parts.session();
    const caller = this.#parts.callerIn(session.epoch);
    const path = caller.serverPath(operations.delete.name, this.path);
    // Behind a sync: an attempt to make it that got no answer is done with by then, on every server.
    const found = await caller.read(existsSpec(path, undefined), { fresh: true });
    if (found?.ephemeralOwner !== session.sessionId) return;
    await deleteNode(caller, this.path, { version: found.version, ifExists: true });
  }

  #end(error: EverholdError): void {
    this.#ending.abort(error);
    this.#rejectWaiters(error);
  }

  #rejectWaiters(error: unknown): void {
    for (const { placed } of this.#waiters) placed.reject(error);
  }

  #conflictError(): ZooKeeperError {
    const { path } = this;
    return new ZooKeeperError(
      "EVH_ZOOKEEPER",
      `Cannot hold ${path}: somebody else has a node of this path (NODEEXISTS)`,
      { reason: "NODEEXISTS", path },
    );
  }

  #finish(): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#placed = undefined;
    this.#emit({ type: "released" });
    this.#parts.onReleased();
  }

  #emit(event: HeldNodeEvent): void {
    this.#events.emit(event, this.#parts.onError);
  }
}

/** How long to wait at most. */
interface Limits {
  readonly deadlineMs: DeadlineMs;
  readonly signal: AbortSignal | undefined;
}

const connectionCodes: ReadonlySet<ErrorCode> = new Set([
  "EVH_UNSENT",
  "EVH_DISCONNECTED",
  "EVH_SESSION_EXPIRED",
  "EVH_TIMEOUT",
]);

/** Whether the session, and not the node, is what failed. */
function isOfConnection(error: unknown): boolean {
  return EverholdError.is(error) && connectionCodes.has(error.code);
}

/** Whether a release may succeed another time: what keeps it from that now says nothing of the node. */
function isPassing(error: unknown): boolean {
  return (
    isOfConnection(error) ||
    isReason(error, "BADVERSION") ||
    EverholdError.is(error, "EVH_OVERLOADED")
  );
}

function releasedError(path: string): ClosedError {
  return new ClosedError("EVH_CLOSED", `${path} is released`);
}
