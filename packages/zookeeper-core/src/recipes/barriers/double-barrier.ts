import { deferred, EverholdError, listenForAbort } from "@everhold/base";
import type { WaitOptions } from "@everhold/env";
import type { CallContext } from "../../api/caller.ts";
import { type MultiOperation, ops } from "../../api/multi-operations.ts";
import { checkAcl, checkPath, optionError } from "../../api/request-options.ts";
import { ZooKeeper } from "../../api/zookeeper.ts";
import { isReason } from "../../errors.ts";
import type { HeldNode } from "../../managed/held-node.ts";
import { childOf } from "../../protocol/paths.ts";
import type { Stat } from "../../protocol/stat.ts";
import type { BarrierOptions } from "./barrier.ts";
import { within } from "./within.ts";

/** How to make a double barrier. */
export interface DoubleBarrierOptions extends BarrierOptions {
  /** How many enter together: 1 or more, the same for all. */
  readonly memberCount: number;
  /** Who this is, for others to see. Default: nothing. */
  readonly id?: string;
}

/** What there is, in the order in which it was read. */
interface Round {
  /** Counts the rounds that have begun; `undefined` while nobody has ever come. */
  readonly version: number | undefined;
  /** There from when all have come until all have left. */
  readonly ready: Stat | null;
  /** The names of the nodes of those who have come and not left. */
  readonly members: readonly string[];
}

/** What a look has shown: it is over, it is to be waited for a change, or to be looked again at once. */
type Verdict = "done" | "wait" | "again";

const readyName = "ready";
const memberPrefix = "member-";

/**
 * Lets many processes begin something together, and end it together: `enter` waits until so many have come, `leave`
 * until all of them have left, as at Curator's `DistributedDoubleBarrier`. Then the next round may begin.
 *
 * Whether all have come, or left, is read from the servers each time: an event, or a connection that is back, is only a
 * reason to look again, so nobody gets by early. Whoever comes again while others are still leaving waits for them. One
 * whose session is over, or whose node somebody deletes, counts as having left; while it waits to enter it comes again by
 * itself. More than `memberCount` get in together only where they come while the last of those do.
 *
 * It keeps nobody from doing anything, so there is nothing to fence; for that there are locks.
 *
 * @example
 * const barrier = new DoubleBarrier(client, "/barriers/import", { memberCount: 3 });
 * await barrier.enter({ timeout: 60_000 });
 * await importOwnPart();
 * await barrier.leave();
 */
export class DoubleBarrier {
  readonly path: string;
  readonly #client: ZooKeeper;
  readonly #context: CallContext;
  readonly #options: DoubleBarrierOptions;
  readonly #readyPath: string;
  #state: "out" | "entering" | "in" | "leaving" = "out";
  #held: HeldNode | undefined;
  /** Of its node: the same one each time, so that who comes again before it is gone waits for that, and counts once. */
  #memberPath: string | undefined;
  /** The `czxid` of the node that let this one in. */
  #enteredBy = 0n;
  #changed = deferred<void>();

  /** @throws TypeError; ZooKeeperError EVH_PATH; EverholdError EVH_CONFIG */
  constructor(client: ZooKeeper, path: string, options: DoubleBarrierOptions) {
    const attempt = "make a barrier at";
    const { memberCount, id = "", acl } = options;
    checkPath(attempt, path);
    if (!Number.isSafeInteger(memberCount) || memberCount < 1) {
      throw optionError(attempt, "memberCount", memberCount, "a whole number from 1 on");
    }
    if (typeof id !== "string") throw optionError(attempt, "id", id, "a text");
    if (acl !== undefined) checkAcl(attempt, acl);
    this.path = path;
    this.#client = client;
    this.#context = ZooKeeper.callerOf(client).context;
    this.#options = options;
    this.#readyPath = childOf(path, readyName);
  }

  /**
   * Waits until all have come; no time limit by default. Whoever gives up has not come.
   * @throws EverholdError EVH_TIMEOUT, EVH_ABORTED, EVH_CLOSED; EVH_ILLEGAL_STATE where it has entered already
   */
  async enter(wait: WaitOptions = {}): Promise<void> {
    this.#pass("enter", "out", "entering");
    try {
      await within(this.#context.ports, wait, `enter ${this.path}`, async (signal) => {
        await this.#until(signal, () => this.#lookBefore(signal));
        await this.#come(signal);
        await this.#until(signal, () => this.#lookEntering(signal));
      });
      this.#state = "in";
      // Its session may be over since it was looked: it has left, and is not to count in the next round.
      if (this.#held?.stat === undefined) this.#letGo();
    } catch (error) {
      this.#state = "out";
      this.#letGo();
      throw error;
    }
  }

  /**
   * Waits until all have left; no time limit by default. Whoever gives up has left all the same.
   * @throws EverholdError EVH_TIMEOUT, EVH_ABORTED, EVH_CLOSED; EVH_ILLEGAL_STATE where it has not entered
   */
  async leave(wait: WaitOptions = {}): Promise<void> {
    this.#pass("leave", "in", "leaving");
    const releasing = this.#held?.release();
    releasing?.catch(() => undefined);
    this.#held = undefined;
    try {
      await within(this.#context.ports, wait, `leave ${this.path}`, async (signal) => {
        await Promise.race([releasing, aborted(signal)]);
        await this.#until(signal, () => this.#lookLeaving(signal));
      });
    } finally {
      this.#state = "out";
    }
  }

  #pass(attempt: string, from: "out" | "in", to: "entering" | "leaving"): void {
    if (this.#state !== from) {
      throw new EverholdError(
        "EVH_ILLEGAL_STATE",
        `Cannot ${attempt} ${this.path}: it is ${this.#state}, expected ${from}`,
      );
    }
    this.#state = to;
  }

  /** Who comes while others leave would be counted with them. */
  async #lookBefore(signal: AbortSignal): Promise<Verdict> {
    const round = await this.#read(signal, true);
    if (round.ready === null) return "done";
    return this.#clearOrWatch(round, signal);
  }

  async #come(signal: AbortSignal): Promise<void> {
    const { id = "", acl } = this.#options;
    const options = { parents: true, signal, timeout: Infinity, ...(acl ? { acl } : {}) };
    this.#memberPath ??= childOf(this.path, memberPrefix + this.#unique());
    const held = await this.#client.hold(this.#memberPath, id, options);
    this.#held = held;
    // In another session it comes again, and may be the last.
    held.on("held", () => this.#changed.resolve());
    // Who is in, and whose node is gone, has left.
    held.on("missing", () => void (this.#state === "in" && this.#letGo()));
  }

  /** Goes on by itself for as long as the session lives. */
  #letGo(): void {
    this.#held?.release().catch(ZooKeeper.reporterOf(this.#client));
    this.#held = undefined;
  }

  #unique(): string {
    const bytes = new Uint8Array(8);
    this.#context.ports.random.fill(bytes);
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  async #lookEntering(signal: AbortSignal): Promise<Verdict> {
    const { version, ready, members } = await this.#read(signal, false);
    if (ready !== null) {
      this.#enteredBy = ready.czxid;
      return "done";
    }
    if (version === undefined || members.length < this.#options.memberCount) return "wait";
    const { acl } = this.#options;
    // The count of rounds is raised, so that nobody clears this one who has looked at the one before.
    const steps = [
      ops.setData(this.path, "", { version }),
      ops.create(this.#readyPath, "", acl === undefined ? {} : { acl }),
    ];
    return this.#change(steps, signal);
  }

  async #lookLeaving(signal: AbortSignal): Promise<Verdict> {
    const round = await this.#read(signal, false);
    // Another round has begun where it is another node: all have left this one.
    if (round.ready === null || round.ready.czxid !== this.#enteredBy) return "done";
    return this.#clearOrWatch(round, signal);
  }

  /** Ends a round that all have left; otherwise watches one who has not. */
  async #clearOrWatch({ version, members }: Round, signal: AbortSignal): Promise<Verdict> {
    const [first] = members.toSorted();
    if (version === undefined) return "again";
    if (first === undefined) {
      const steps = [ops.check(this.path, { version }), ops.delete(this.#readyPath)];
      return this.#change(steps, signal);
    }
    try {
      const watch = this.#onChange;
      // By getData, which leaves no watch where there is no node.
      await this.#client.getData(childOf(this.path, first), { watch, signal, timeout: Infinity });
      return "wait";
    } catch (error) {
      if (isReason(error, "NONODE")) return "again";
      throw error;
    }
  }

  /** Whatever becomes of it, what there is afterwards says. */
  async #change(steps: readonly MultiOperation<unknown>[], signal: AbortSignal): Promise<Verdict> {
    try {
      await this.#client.multi(steps, { signal, timeout: Infinity });
    } catch (error) {
      const isPassing =
        (EverholdError.is(error) && error.outcome === "unknown") ||
        (["BADVERSION", "NONODE", "NODEEXISTS"] as const).some((one) => isReason(error, one));
      if (!isPassing) throw error;
    }
    return "again";
  }

  async #read(signal: AbortSignal, fresh: boolean): Promise<Round> {
    const request = { signal, timeout: Infinity };
    const version = (await this.#client.exists(this.path, { ...request, fresh }))?.version;
    const watch = this.#onChange;
    const ready = await this.#client.exists(this.#readyPath, { ...request, watch });
    try {
      const { children } = await this.#client.getChildren(this.path, request);
      return { version, ready, members: children.filter((name) => name !== readyName) };
    } catch (error) {
      if (isReason(error, "NONODE")) return { version: undefined, ready: null, members: [] };
      throw error;
    }
  }

  readonly #onChange = (): void => this.#changed.resolve();

  async #until(signal: AbortSignal, look: () => Promise<Verdict>): Promise<void> {
    for (;;) {
      if (signal.aborted) throw signal.reason;
      // Before the look: what changes while it looks is looked at again.
      const changed = deferred<void>();
      this.#changed = changed;
      const forget = listenForAbort(signal, () => changed.resolve());
      try {
        const verdict = await look();
        if (verdict === "done") return;
        if (verdict === "wait") await this.#changed.promise;
      } finally {
        forget();
      }
    }
  }
}

/** Rejects when the signal is aborted. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    listenForAbort(signal, () => reject(signal.reason));
  });
}
