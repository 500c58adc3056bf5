import {
  acceptsWrites,
  includesReplica,
  type GroupState,
  type Member,
  type Replica,
} from "@everhold/group";
import type { ReplicatedLog } from "@everhold/journal";

/** A member as far as the rules ask for it. */
export interface Ruled {
  readonly name: string;
  /** undefined while it is down. */
  readonly broker:
    | { readonly member: Member | undefined; readonly log: ReplicatedLog | undefined }
    | undefined;
}

/** What a member's process showed last; its disk is at least so far when it has died. */
interface Sight {
  readonly name: string;
  readonly member: Member;
  /** Of one life of the member. */
  readonly log: ReplicatedLog;
  readonly end: number;
  readonly durable: number;
  readonly epochCount: number;
  /** The highest epoch that this disk was said to be fenced at. */
  readonly promised: number;
  /** What was durable on disks that it had before. */
  readonly lostDurable: number;
}

/** Where an epoch begins, and in whose life. */
interface Beginning {
  readonly live?: ReplicatedLog;
  readonly position?: number;
  readonly chain?: string | null;
}

/**
 * Asserts the rules I1 to I8 of a group (README of `@everhold/group`) after every event, on what its members decide by,
 * on their journals, and on the group's node as ZooKeeper has it. The model asserts the same; here journals are known by
 * their chain values, as far as these are in memory.
 */
export class GroupRules {
  readonly #members: readonly Ruled[];
  readonly #node: () => GroupState | undefined;
  readonly #fail: (text: string) => void;
  readonly #sights = new Map<string, Sight>();
  readonly #beginnings = new Map<number, Beginning>();
  /** What was committed: the chain value at each position that a member told of. */
  readonly #chains = new Map<number, string>();
  #highest = 0;
  #state: GroupState | undefined;

  /** @param node what the group's node says, as ZooKeeper has decided it: the same object until it changes */
  constructor(
    members: readonly Ruled[],
    node: () => GroupState | undefined,
    fail: (text: string) => void,
  ) {
    this.#members = members;
    this.#node = node;
    this.#fail = fail;
  }

  /** Commit positions whose chain value was compared. */
  get commitsSeen(): number {
    return this.#chains.size;
  }

  /** After every event. */
  look(): void {
    const before = this.#state;
    this.#state = this.#node();
    const changed = this.#members.flatMap((process) => this.#see(process));
    if (changed.length === 0 && this.#state === before) return;
    for (const [was, is] of changed) this.#checkSteps(was, is);
    for (const [was, is] of changed) this.#checkCommit(was, is);
    if (this.#state !== undefined) this.#checkGroup(this.#state);
  }

  /** What a member showed before and shows now, where that is something else. */
  #see({ name, broker }: Ruled): readonly (readonly [Sight | undefined, Sight])[] {
    const { member, log } = broker ?? {};
    if (member === undefined || log === undefined) return [];
    const { end, durable } = log;
    const was = this.#sights.get(name);
    if (was?.member === member && was.end === end && was.durable === durable) return [];
    const isSameDisk = was?.member.self.incarnation === member.self.incarnation;
    const promised = Math.max(member.fencedEpoch, isSameDisk ? was.promised : 0);
    const lostDurable = Math.max(was?.lostDurable ?? 0, isSameDisk ? 0 : (was?.durable ?? 0));
    const epochCount = log.epochs.length;
    const is = { name, member, log, end, durable, epochCount, promised, lostDurable };
    this.#sights.set(name, is);
    return [[was, is]];
  }

  /** What one member may not do, whatever the others do. */
  #checkSteps(was: Sight | undefined, is: Sight): void {
    const { name, member, log, end, promised } = is;
    const { role, commitPosition, fencedEpoch } = member;
    const isSameLife = was?.log === log;
    if (isSameLife && commitPosition < was.member.commitPosition) {
      this.#fail(
        `I7: ${name} knew of commits up to ${was.member.commitPosition}, and now only to ${commitPosition}`,
      );
    }
    const isTaking = isSameLife && end > was.end && role.kind === "backup";
    if (isTaking && fencedEpoch < promised) {
      this.#fail(`I6: ${name} promised epoch ${promised} and took from ${fencedEpoch}`);
    }
    if (role.kind === "live") {
      const { live, ...rest } = this.#beginnings.get(role.epoch) ?? {};
      if (live !== undefined && live !== log) this.#fail(`I1: epoch ${role.epoch} has two lives`);
      this.#beginnings.set(role.epoch, { ...rest, live: log });
    }
    if (isSameLife && was.epochCount === is.epochCount && was.end <= end) return;
    for (const { epoch, position } of log.epochs.slice(-8)) {
      const known = this.#beginnings.get(epoch) ?? {};
      const chain = log.chainAt(position) ?? known.chain ?? null;
      if (known.position !== undefined && known.position !== position) {
        this.#fail(`I1: epoch ${epoch} begins at ${known.position}, and on ${name} at ${position}`);
      }
      if (chain !== (known.chain ?? chain)) {
        this.#fail(
          `I2: ${name} has ${chain} before epoch ${epoch}, where others have ${known.chain}`,
        );
      }
      this.#beginnings.set(epoch, { ...known, position, chain });
    }
  }

  #checkCommit(was: Sight | undefined, { name, member, log }: Sight): void {
    const { commitPosition, role } = member;
    const isLive = role.kind === "live" || (was?.log === log && was.member.role.kind === "live");
    if (commitPosition > this.#highest) {
      if (!isLive)
        this.#fail(`I5: ${name} shows ${commitPosition}, and ${this.#highest} is committed`);
      this.#highest = commitPosition;
      this.#compare(name, log, commitPosition);
      this.#checkHolders(name, commitPosition);
    } else if (commitPosition !== was?.member.commitPosition || log !== was.log) {
      this.#compare(name, log, commitPosition);
    }
  }

  #checkHolders(name: string, position: number): void {
    const { minInSync } = this.#state ?? { minInSync: 1 };
    const holders = [...this.#sights.values()].filter(
      (sight) =>
        sight.lostDurable >= position || (sight.durable >= position && this.#has(sight, position)),
    );
    if (holders.length >= minInSync) return;
    this.#fail(`I4: ${name} commits ${position}, which ${holders.length} have, of ${minInSync}`);
  }

  /** What must hold of all of them together, and of the node. */
  #checkGroup({ epoch, inSync }: GroupState): void {
    for (const sight of this.#sights.values()) {
      const { name, member, end, durable } = sight;
      const { role, self, commitPosition } = member;
      if (role.kind === "live" && role.epoch === epoch) {
        if (end < this.#highest || !this.#has(sight, this.#highest)) {
          this.#fail(
            `I3: ${name} leads with ${end} bytes, and lacks some of ${this.#highest} committed`,
          );
        }
        if (acceptsWrites(member) && commitPosition < this.#highest) {
          this.#fail(
            `I7: ${name} serves ${commitPosition} bytes, and ${this.#highest} are committed`,
          );
        }
      }
      if (!includesReplica(inSync, self)) continue;
      if (durable < this.#highest || !this.#has(sight, this.#highest)) {
        this.#fail(
          `I8: ${shown(self)} may be promoted with ${durable} bytes, and lacks some of ${this.#highest} committed`,
        );
      }
    }
  }

  /** Whether its journal, as far as that is known, is the committed one before `position`. */
  #has({ log }: Sight, position: number): boolean {
    const chain = log.chainAt(position);
    const known = this.#chains.get(position);
    return chain === null || known === undefined || chain === known;
  }

  #compare(name: string, log: ReplicatedLog, position: number): void {
    const chain = log.chainAt(position);
    if (chain === null) return;
    const known = this.#chains.get(position);
    if (known === undefined) this.#chains.set(position, chain);
    else if (known !== chain) {
      this.#fail(`I2: ${name} has ${chain} at ${position}, where ${known} was committed`);
    }
  }
}

function shown({ id, incarnation }: Replica): string {
  return `${id} (${incarnation.slice(0, 8)})`;
}
