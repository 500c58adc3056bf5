import { EverholdError } from "@everhold/base";
import { includesReplica, type KnownState, type Replica } from "@everhold/group";
import { ops, type Stat } from "@everhold/zookeeper-core";
import { type GroupAccess, isRefusal, messageOf, opIndexOf } from "./group-access.ts";
import { limits } from "./limits.ts";
import type { StateNode } from "./state-node.ts";

/** Whether the node has become another one than it was when it was looked at. */
const raced = ["NONODE", "NODEEXISTS"] as const;

/** A promotion that this process has asked for. */
interface Claim {
  readonly self: Replica;
  readonly epoch: number;
}

/**
 * The ephemeral node of the live. It only wakes others when it goes; who is live is said by the group's node alone.
 */
export class LiveNode {
  readonly #access: GroupAccess;
  readonly #state: StateNode;
  #claim: Claim | undefined;

  constructor(access: GroupAccess, state: StateNode) {
    this.#access = access;
    this.#state = state;
  }

  /**
   * Makes this member live: in one step the group's node says so, and the `live` node is this session's, whoever had it.
   * `false`: the group's node is not the one that is known.
   * @throws EverholdError, with what is known of the outcome
   */
  async promote(next: KnownState, timeLeftMs: () => number): Promise<boolean> {
    const { live, epoch } = next.state;
    const change = this.#state.change(next);
    if (change === undefined || live === null) return false;
    const claim = { self: live, epoch };
    this.#claim = claim;
    const { client, paths, acl, closing: signal } = this.#access;
    for (let left = limits.promotionAttemptCountMax; left > 0; left -= 1) {
      const found = await this.#look({ timeout: timeLeftMs(), signal });
      const { version } = found ?? {};
      const away = version === undefined ? [] : [ops.delete(paths.live, { version })];
      const mine = ops.create(paths.live, liveData(claim), { mode: "ephemeral", acl });
      try {
        await client.multi([...change, ...away, mine], { timeout: timeLeftMs(), signal });
        return true;
      } catch (error) {
        // The parts that come first are about the group's node.
        if (!isRefusal(error, ...raced) || opIndexOf(error) < change.length) throw error;
      }
    }
    return false;
  }

  /**
   * Makes the node again that went with a session, if the group's node says that this process leads in the epoch for
   * which it has asked. A process that only has the name of the live does not make it: it does not lead. Gives whether
   * it leads.
   */
  async restore(): Promise<boolean> {
    const { client, paths, acl, closing: signal } = this.#access;
    const claim = this.#claim;
    if (claim === undefined) return false;
    const read = await this.#state.read();
    if (read.kind !== "state") return false;
    const { live, epoch } = read.known.state;
    if (epoch !== claim.epoch || live === null) return false;
    if (!includesReplica([claim.self], live)) return false;
    const unchanged = this.#state.unchanged(read.known);
    if (unchanged === undefined) return false;
    const mine = ops.create(paths.live, liveData(claim), { mode: "ephemeral", acl });
    try {
      await client.multi([...unchanged, mine], { signal });
    } catch (error) {
      // Something has changed meanwhile: that is told, and looked at again.
      if (!isRefusal(error, "BADVERSION", ...raced)) throw error;
    }
    return true;
  }

  /** Who has the node now. What fails here has changed nothing, though nobody may know what the look has found. */
  async #look(wait: {
    readonly timeout: number;
    readonly signal: AbortSignal;
  }): Promise<Stat | null> {
    const { client, paths } = this.#access;
    try {
      return await client.exists(paths.live, wait);
    } catch (cause) {
      const message = `Cannot look who is live: ${messageOf(cause)}`;
      throw new EverholdError("EVH_UNSENT", message, { cause, outcome: "none" });
    }
  }

  /** Deletes the node if it is this session's. */
  async giveBack(): Promise<void> {
    if (this.#claim === undefined) return;
    this.#claim = undefined;
    const { client, paths, ports } = this.#access;
    const timeout = limits.closeMs;
    try {
      const found = await client.exists(paths.live, { timeout });
      if (found === null || found.ephemeralOwner !== client.sessionId) return;
      await client.delete(paths.live, { version: found.version, timeout });
    } catch (error) {
      ports.log.debug("Live node is left to its session", { error: messageOf(error) });
    }
  }
}

/** For whoever looks: nothing is decided by it. */
function liveData({ self, epoch }: Claim): string {
  const { id, incarnation } = self;
  return JSON.stringify({ format: 1, id, incarnation, epoch });
}
