import type { GroupState } from "@everhold/group";
import type { World } from "../../world/world.ts";
import { GroupRules } from "./group-rules.ts";
import type { MemberProcess } from "./member-process.ts";

/** How much was looked at. */
export interface GroupCounts {
  /** Commit positions whose chain value was compared. */
  readonly commitsSeen: number;
  /** How often another member led than before. */
  readonly reigns: number;
  /** How often a member was seen while it was filled up. */
  readonly fills: number;
  /** The group's last epoch. */
  readonly epoch: number;
}

/**
 * Looks on at the members of a group, and asks what must hold of all of them together:
 *
 * - The group's own rules hold after every event: {@link GroupRules}.
 * - At no moment may two of them hand out messages.
 * - Nobody stops and waits for an operator.
 */
export class GroupWatch {
  readonly #world: World;
  readonly #members: readonly MemberProcess[];
  readonly #rules: GroupRules;
  #reigns = 0;
  #fills = 0;
  readonly #filling = new Set<string>();
  #epoch = 0;
  #live: string | undefined;

  /** @param node what the group's node says, as ZooKeeper has decided it: the same object until it changes */
  constructor(world: World, members: readonly MemberProcess[], node: () => GroupState | undefined) {
    this.#world = world;
    this.#members = members;
    this.#rules = new GroupRules(members, node, (text) => this.#fail(text));
  }

  get counts(): GroupCounts {
    return {
      commitsSeen: this.#rules.commitsSeen,
      reigns: this.#reigns,
      fills: this.#fills,
      epoch: this.#epoch,
    };
  }

  /** After each event. */
  lookAtOnce(): void {
    this.#rules.look();
    let holder: string | undefined;
    for (const { broker, name } of this.#members) {
      if (broker?.mayDispatch !== true) continue;
      if (holder !== undefined) this.#fail(`${holder} and ${name} may hand out messages`);
      holder = name;
    }
  }

  /** Now and then. */
  look(): void {
    for (const { broker, name } of this.#members) {
      if (broker === undefined) continue;
      const { status, log } = broker;
      if (status.role === "stopped") this.#fail(`${name} has stopped: ${status.reason}`);
      if (status.role !== "filling") this.#filling.delete(name);
      else if (!this.#filling.has(name)) {
        this.#filling.add(name);
        this.#fills += 1;
      }
      if (log === undefined) continue;
      if (status.isServing && status.epoch > this.#epoch && this.#live !== name) {
        this.#live = name;
        this.#reigns += 1;
      }
      this.#epoch = Math.max(this.#epoch, status.epoch);
      // The state of one that follows is whole only once it leads.
      if (status.isServing) broker.assertInvariants();
    }
  }

  /** Whether all members have the same, and all of it is committed. */
  get isEqual(): boolean {
    const seen = this.#members.map(({ broker }) => {
      if (broker === undefined) return undefined;
      const { status, log } = broker;
      const { commitPosition, endPosition, inSync } = status;
      if (commitPosition !== endPosition || inSync.length !== this.#members.length)
        return undefined;
      return `${commitPosition} ${log?.chainAt(commitPosition)}`;
    });
    return seen[0] !== undefined && seen.every((text) => text === seen[0]);
  }

  /** What each member says of itself. */
  get situation(): string {
    const texts = this.#members.map(({ name, broker }) => {
      if (broker === undefined) return `${name} is down`;
      const { role, isServing, epoch, inSync, endPosition, durablePosition, commitPosition } =
        broker.status;
      return (
        `${name} ${role}${isServing ? " serves" : ""} epoch ${epoch} in sync ${inSync.join("+")} ` +
        `end ${endPosition} durable ${durablePosition} committed ${commitPosition}`
      );
    });
    return texts.join("; ");
  }

  #fail(text: string): void {
    this.#world.fail("group", new Error(text));
  }
}
