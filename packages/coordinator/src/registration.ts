import { EverholdError } from "@everhold/base";
import { pause } from "@everhold/env";
import type { MemberAddress } from "@everhold/group";
import { childOf, type HeldNode, type Stat } from "@everhold/zookeeper-core";
import {
  checkOpen,
  type GroupAccess,
  isRefusal,
  messageOf,
  patienceOf,
  untilAnswered,
} from "./group-access.ts";
import { memberNameOf, memberPrefixOf } from "./group-paths.ts";
import { limits } from "./limits.ts";
import { decodeMemberAddress, encodeMemberAddress } from "./member-address.ts";

/** Another process that has the id. */
interface Namesake {
  readonly name: string;
  readonly stat: Stat;
}

/** This member's ephemeral node, and who else has one. */
export class Registration {
  readonly #access: GroupAccess;
  #held: HeldNode | undefined;
  #isBegun = false;

  constructor(access: GroupAccess) {
    this.#access = access;
  }

  /**
   * Registers a member, and keeps it registered. Where a process of the same id is registered, this waits for two of
   * this client's session timeouts, as for one that was killed and left its node behind; then it gives up, and may be called again.
   * @throws EverholdError EVH_MEMBER_EXISTS, EVH_CLOSED, EVH_ILLEGAL_STATE, EVH_CONFIG, EVH_NODE_FORMAT
   * @throws ZooKeeperError what ZooKeeper refused
   */
  async register(address: MemberAddress): Promise<void> {
    const { id } = address.replica;
    const name = memberNameOf(address.replica);
    const data = encodeMemberAddress(address);
    if (this.#isBegun) {
      const found = `this coordinator has registered a member already`;
      throw new EverholdError("EVH_ILLEGAL_STATE", `Cannot register ${id}: ${found}`);
    }
    this.#isBegun = true;
    try {
      await this.#register(name, data, id);
    } catch (error) {
      this.#isBegun = false;
      throw error;
    }
  }

  async #register(name: string, data: Uint8Array, id: string): Promise<void> {
    const { paths, client, ports, closing } = this.#access;
    const { registrationPauseMs, registrationSessionCount } = limits;
    for (let waitedMs = 0; ; waitedMs += registrationPauseMs) {
      const other = await this.#take(name, data, memberPrefixOf(id));
      if (other === undefined) return;
      const owner = BigInt.asUintN(64, other.stat.ephemeralOwner).toString(16);
      const details = { id, group: paths.group, registered: other.name, session: owner };
      if (waitedMs >= registrationSessionCount * client.sessionTimeout) {
        throw new EverholdError(
          "EVH_MEMBER_EXISTS",
          `Cannot register ${name} in ${paths.group}: ${other.name} is registered, by session 0x${owner}; ` +
            "one process at a time may have an id",
        );
      }
      if (waitedMs === 0 && other.name === name) {
        ports.log.info(
          "An earlier run of this member is registered until its session ends",
          details,
        );
      } else if (waitedMs === 0) {
        ports.log.warn("Another process has this member's id", details);
      }
      await pause(ports, registrationPauseMs, closing);
      checkOpen(this.#access);
    }
  }

  /** The members that are registered. What can't be read is left out, with a warning. */
  async members(): Promise<MemberAddress[]> {
    const { client, paths, ports } = this.#access;
    const found: MemberAddress[] = [];
    for (const name of (await this.#names()).toSorted()) {
      const path = childOf(paths.members, name);
      try {
        const { data } = await client.getData(path, patienceOf(this.#access));
        const address = decodeMemberAddress(data);
        if (memberNameOf(address.replica) === name) found.push(address);
        else ports.log.warn("Member's node has the name of another one", { path });
      } catch (error) {
        if (isRefusal(error, "NONODE")) continue;
        checkOpen(this.#access);
        ports.log.warn("Member's node can't be read", { path, error: messageOf(error) });
      }
    }
    return found;
  }

  /** Deletes the node. */
  async giveBack(): Promise<void> {
    const { ports } = this.#access;
    try {
      await this.#held?.release({ timeout: limits.closeMs });
    } catch (error) {
      ports.log.debug("Member's node is left to its session", { error: messageOf(error) });
    }
  }

  /** Makes the node, unless somebody else has the id: then it is given. */
  async #take(name: string, data: Uint8Array, prefix: string): Promise<Namesake | undefined> {
    const { client, paths, acl, ports } = this.#access;
    const others = await this.#namesakes(name, prefix);
    const [other] = others.filter(({ stat }) => stat.ephemeralOwner !== client.sessionId);
    if (other !== undefined) return other;
    const path = childOf(paths.members, name);
    const options = { ...patienceOf(this.#access), acl, parents: true };
    let held: HeldNode;
    try {
      held = this.#held = await untilAnswered(this.#access, () => client.hold(path, data, options));
    } catch (error) {
      if (!isRefusal(error, "NODEEXISTS")) throw error;
      const stat = await untilAnswered(this.#access, (patience) => client.exists(path, patience));
      return stat === null ? this.#take(name, data, prefix) : { name, stat };
    }
    // Two may have looked at the same time: the first one stays.
    const since = held.stat?.czxid ?? 0n;
    const [first] = (await this.#namesakes(name, prefix)).filter(
      (one) => one.name !== name && one.stat.czxid < since,
    );
    if (first !== undefined) {
      await held.release({ timeout: limits.closeMs });
      this.#held = undefined;
      return first;
    }
    held.on("conflict", ({ owner }) => {
      const session = BigInt.asUintN(64, owner).toString(16);
      ports.log.error("Another process has taken this member's id", { path, session });
    });
    return undefined;
  }

  /** All nodes of the id, this one's too. */
  async #namesakes(name: string, prefix: string): Promise<Namesake[]> {
    const { client, paths } = this.#access;
    const found: Namesake[] = [];
    for (const one of await this.#names()) {
      if (one !== name && !one.startsWith(prefix)) continue;
      const path = childOf(paths.members, one);
      const stat = await untilAnswered(this.#access, (patience) => client.exists(path, patience));
      if (stat !== null) found.push({ name: one, stat });
    }
    return found;
  }

  async #names(): Promise<readonly string[]> {
    const { client, paths } = this.#access;
    try {
      const { children } = await untilAnswered(this.#access, (patience) =>
        client.getChildren(paths.members, { ...patience, fresh: true }),
      );
      return children;
    } catch (error) {
      if (isRefusal(error, "NONODE")) return [];
      throw error;
    }
  }
}
