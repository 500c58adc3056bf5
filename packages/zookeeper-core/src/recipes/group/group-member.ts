import { ClosedError, EventHub, type EverholdError } from "@everhold/base";
import {
  callWithin,
  checkTimeout,
  deadlineIn,
  onWaitEnd,
  waitBegun,
  type WaitOptions,
} from "@everhold/env";
import {
  bytesOfData,
  checkAcl,
  checkPath,
  type NodeData,
  optionError,
} from "../../api/request-options.ts";
import { ZooKeeper } from "../../api/zookeeper.ts";
import { isReason } from "../../errors.ts";
import type { HeldNode } from "../../managed/held-node.ts";
import type { Acl } from "../../protocol/acl.ts";
import { childOf, nameOf } from "../../protocol/paths.ts";
import type { Stat } from "../../protocol/stat.ts";
import type { CachedNode } from "../cache/cache-view.ts";
import { NodeCache } from "../cache/node-cache.ts";
import { groupLimits } from "./group-limits.ts";

/** One member of a group. */
export interface Member {
  readonly id: string;
  /** What it says of itself; only to be read. */
  readonly data: Uint8Array | null;
  /** `czxid` is another one each time that it joins; `ephemeralOwner` is its session. */
  readonly stat: Stat;
}

/** How to be a member. */
export interface GroupMemberOptions {
  /** What it says of itself. Default: no bytes. */
  readonly data?: NodeData;
  /** Who may do what with its node, and with the group's where that has to be made. Default: everybody everything. */
  readonly acl?: readonly Acl[];
  /**
   * What `start` does where another process has the id: `fail` rejects with NODEEXISTS, `wait` waits for it to go, as
   * for what a former process of the same id has left. Default `fail`.
   */
  readonly conflict?: "fail" | "wait";
}

/** What happens in a group, as far as this member knows; itself is a member as the others are. */
export type GroupMemberEvent =
  | { readonly type: "joined"; readonly member: Member }
  | { readonly type: "left"; readonly member: Member }
  /** It says something else of itself. */
  | { readonly type: "changed"; readonly member: Member; readonly before: Member }
  /** This member's node is gone, or may be; it joins again as soon as that can be done. */
  | { readonly type: "missing" }
  /** Another process has this member's id, in the session `owner`. When that goes this one joins. */
  | { readonly type: "conflict"; readonly owner: bigint }
  /** Something failed; it is tried again. */
  | { readonly type: "error"; readonly error: EverholdError }
  /** It is no member any more, and knows nothing of the others; the last event. */
  | { readonly type: "closed"; readonly error?: EverholdError };

/**
 * A member of a group, as Curator's `GroupMember`, in the same nodes: an ephemeral node by its id below the group's,
 * and a view of all others. It joins again in the next session when one is over. Of two processes with one id the
 * second is told of the conflict, and the first does not notice.
 *
 * Who is a member is known later than it is so: one that has stopped is shown until its session is over, and one whose
 * session is over may go on working. So members share work by it, and prove nothing. Where two must never do the same
 * each of them carries a fencing token: `stat.czxid` of its own membership is larger each time that it joins, and
 * whoever has seen a larger one refuses it; or it takes a lock.
 *
 * @example
 * const member = new GroupMember(client, "/brokers", "anna", { data: "10.0.0.7:5672" });
 * member.on("left", ({ member: { id } }) => console.log(id, "has left"));
 * await member.start();
 * console.log([...member.members().keys()]);
 */
export class GroupMember {
  /** The group's node. */
  readonly path: string;
  readonly id: string;
  readonly #client: ZooKeeper;
  readonly #options: GroupMemberOptions;
  readonly #cache: NodeCache;
  readonly #events = new EventHub<GroupMemberEvent>({
    last: "closed",
    unreadCountMax: groupLimits.unreadEventCountMax,
  });
  #data: Uint8Array | null;
  #held: HeldNode | undefined;
  #starting: Promise<void> | undefined;
  /** Ends `start`, with why. */
  readonly #ending = new AbortController();
  #leaving: Promise<void> | undefined;
  #isClosed = false;

  /** @throws TypeError; ZooKeeperError EVH_PATH; EverholdError EVH_CONFIG */
  constructor(client: ZooKeeper, path: string, id: string, options: GroupMemberOptions = {}) {
    const attempt = "be a member";
    const { data = "", acl, conflict = "fail" } = options;
    checkPath(attempt, path);
    if (typeof id !== "string" || id === "" || id.includes("/")) {
      throw optionError(attempt, "id", id, "a name without slashes");
    }
    checkPath(attempt, childOf(path, id));
    if (acl !== undefined) checkAcl(attempt, acl);
    if (conflict !== "fail" && conflict !== "wait") {
      throw optionError(attempt, "conflict", conflict, '"fail" or "wait"');
    }
    this.path = path;
    this.id = id;
    this.#client = client;
    this.#options = options;
    this.#data = bytesOfData(attempt, data);
    this.#cache = new NodeCache(client, path, { depth: 1, shows: (node) => node.path !== path });
    this.#cache.on("created", ({ node }) => this.#emit({ type: "joined", member: memberOf(node) }));
    this.#cache.on("deleted", ({ before }) =>
      this.#emit({ type: "left", member: memberOf(before) }),
    );
    this.#cache.on("changed", ({ node, before }) =>
      this.#emit({ type: "changed", member: memberOf(node), before: memberOf(before) }),
    );
    this.#cache.on("error", ({ error }) => this.#emit({ type: "error", error }));
    this.#cache.on("closed", ({ error }) => this.#finish(error));
  }

  /**
   * Joins, and resolves when it has and all others are known. Where that fails it is closed. No time limit by default.
   * @throws ZooKeeperError with reason NODEEXISTS where another process has the id, and that is not to be waited for
   * @throws EverholdError EVH_CLOSED where it is closed meanwhile; as of `hold` and of a cache's `start`
   */
  async start(wait: WaitOptions = {}): Promise<void> {
    checkTimeout(wait.timeout, Infinity);
    this.#starting ??= this.#start(wait);
    await this.#starting;
  }

  /** Its node, while it is a member as far as the client knows; `undefined` otherwise. */
  get stat(): Stat | undefined {
    return this.#held?.stat;
  }

  /** All members by their ids, itself included. @throws ClosedError EVH_CLOSED */
  members(): Map<string, Member> {
    return new Map(
      this.#cache
        .children()
        .map(memberOf)
        .map((member) => [member.id, member] as const),
    );
  }

  /** As of a cache: waits until everything that was finished before is known. */
  fresh(wait: WaitOptions = {}): Promise<bigint> {
    return this.#cache.fresh(wait);
  }

  /**
   * Says something else of itself, now and whenever it joins again; while it joins, when it has. No time limit by
   * default. @throws EverholdError EVH_CLOSED, EVH_TIMEOUT, EVH_ABORTED; while it joins, what `start` throws
   */
  async setData(data: NodeData, wait: WaitOptions = {}): Promise<void> {
    if (this.#isClosed) throw this.#closedError();
    this.#data = bytesOfData("be a member", data);
    if (this.#held !== undefined) return this.#held.update(this.#data, wait);
    const starting = this.#starting;
    if (starting === undefined) return;
    const { ports } = ZooKeeper.callerOf(this.#client).context;
    await callWithin(ports, wait, `change what ${this.id} says`, () => starting);
  }

  /** What happens from now on; ends when it is closed. */
  events(): AsyncIterableIterator<GroupMemberEvent> {
    return this.#events.read();
  }

  /** Calls `listener` at each event of one type, until the returned function is called. */
  on<K extends GroupMemberEvent["type"]>(
    type: K,
    listener: (event: Extract<GroupMemberEvent, { readonly type: K }>) => void,
  ): () => void {
    return this.#events.on(type, listener);
  }

  /**
   * Leaves, and resolves when the others can know; a `start` that goes on rejects. Idempotent. Where the wait ends first
   * it leaves in the background, as long as the session lives. No time limit by default.
   */
  async close(wait: WaitOptions = {}): Promise<void> {
    this.#finish();
    // It begins in any case, also where nobody waits for it.
    const leaving = (this.#leaving ??= this.#leave());
    const { ports } = ZooKeeper.callerOf(this.#client).context;
    await waitBegun(ports, wait, `leave ${this.path}`, leaving);
  }

  /** As {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #start(wait: WaitOptions): Promise<void> {
    if (this.#isClosed) throw this.#closedError();
    const { ports } = ZooKeeper.callerOf(this.#client).context;
    const deadlineMs = deadlineIn(ports, checkTimeout(wait.timeout, Infinity));
    const limits = { deadlineMs, signal: wait.signal };
    const subject = { attempt: `join ${this.path}`, outcome: () => "none" as const };
    const forget = onWaitEnd(ports, limits, subject, (error) => this.#ending.abort(error));
    const { signal } = this.#ending;
    try {
      await this.#cache.start({ signal });
      await this.#join({ timeout: Infinity, signal });
    } catch (error) {
      const reason: unknown = signal.aborted ? signal.reason : error;
      this.#finish();
      this.#held?.release().catch(() => undefined);
      throw reason;
    } finally {
      forget();
    }
  }

  async #join(wait: WaitOptions): Promise<void> {
    let data = this.#data;
    const held = await this.#hold(data, wait);
    this.#held = held;
    held.on("missing", () => this.#emit({ type: "missing" }));
    held.on("conflict", ({ owner }) => this.#emit({ type: "conflict", owner }));
    held.on("error", ({ error }) => this.#emit({ type: "error", error }));
    if (this.#isClosed) throw this.#closedError();
    // What it was told to say while it joined.
    while (data !== this.#data) {
      data = this.#data;
      await held.update(data, wait);
    }
    if (held.stat !== undefined) await this.#cache.waitFor(held.stat.mzxid, wait);
  }

  async #hold(data: Uint8Array | null, wait: WaitOptions): Promise<HeldNode> {
    const { acl, conflict } = this.#options;
    const path = childOf(this.path, this.id);
    const options = {
      parents: "container",
      ...(acl === undefined ? {} : { acl }),
      ...wait,
    } as const;
    try {
      return await this.#client.hold(path, data, options);
    } catch (error) {
      if (conflict !== "wait" || !isReason(error, "NODEEXISTS")) throw error;
    }
    const found = await this.#client.exists(path, wait);
    if (found !== null) this.#emit({ type: "conflict", owner: found.ephemeralOwner });
    return this.#client.hold(path, data, { ...options, conflict });
  }

  /** Its node goes, also one that `start` asked for and got no answer about. Never rejects. */
  async #leave(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    await this.#held?.release();
    await ZooKeeper.whenLetGo(this.#client, childOf(this.path, this.id));
  }

  #finish(error?: EverholdError): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#ending.abort(error ?? this.#closedError());
    this.#cache.close();
    this.#events.emit(
      { type: "closed", ...(error === undefined ? {} : { error }) },
      ZooKeeper.reporterOf(this.#client),
    );
    // Whoever knows nothing of the others any more is not to be counted on by them.
    if (error !== undefined) this.#held?.release().catch(() => undefined);
  }

  #emit(event: GroupMemberEvent): void {
    if (!this.#isClosed) this.#events.emit(event, ZooKeeper.reporterOf(this.#client));
  }

  #closedError(): ClosedError {
    return new ClosedError("EVH_CLOSED", `The member ${this.id} of ${this.path} is closed`);
  }
}

function memberOf({ path, data, stat }: CachedNode): Member {
  return { id: nameOf(path), data, stat };
}
