import { includesReplica } from "./group-state.ts";
import { limits } from "./limits.ts";
import {
  promisedEpoch,
  type KnownState,
  type Member,
  type MemberLog,
  type Role,
  type Standing,
} from "./member.ts";
import type { Turn } from "./turn.ts";

type Candidate = Role & { readonly kind: "candidate" };

/**
 * Stands for promotion, if it may. Its epoch is above all that it has promised, on its disk too, or heard of: an attempt
 * that was given up, even by a process that died, and is carried out late can never be taken for this one.
 */
export function becomeCandidate(turn: Turn, standing: Standing): void {
  const { member } = turn;
  const { role, links } = member;
  const isCutting = role.kind === "backup" && role.following.kind === "truncating";
  if (member.known === null || isCutting) return;
  const epochs = [promisedEpoch(member), member.seenEpoch, member.known.state.epoch];
  const candidate = { kind: "candidate", epoch: Math.max(...epochs) + 1, standing } as const;
  if (candidate.epoch > limits.epochMax || !mayStand(member, candidate)) return;
  if (role.kind === "live") turn.stepDown();
  for (const { link, outgoing } of links) if (outgoing) turn.disconnect(link);
  turn.become(candidate);
}

/** Whether the node as it is known lets this member be promoted to that epoch: with this very disk, it is in sync. */
export function mayStand({ known, self }: Member, { epoch, standing }: Candidate): boolean {
  if (known === null || known.state.epoch >= epoch) return false;
  const { unclean } = standing;
  if (unclean === null) return includesReplica(known.state.inSync, self);
  return unclean.created === known.created && unclean.version === known.version;
}

/** Fence first, durably; only then ask. An ack that is on its way was for what this journal has. */
export function pumpCandidate(turn: Turn): void {
  const { role, fencing, fencedEpoch, known, self } = turn.member;
  if (role.kind !== "candidate" || fencing !== null) return;
  if (fencedEpoch < role.epoch) {
    turn.change({ fencing: role.epoch });
    return turn.want({ kind: "fence", epoch: role.epoch });
  }
  if (known === null || !mayRequest(turn.member)) return;
  const { epoch, standing } = role;
  const isClean = standing.unclean === null;
  const kept = known.state.inSync.filter(
    ({ id }) => id === self.id || !standing.without.includes(id),
  );
  request(turn, "promote", {
    ...known.state,
    epoch,
    live: self,
    inSync: isClean ? kept : [self],
    epochStart: turn.log.end,
    unclean: !isClean || isUncleanUntold(known, turn.log),
  });
}

/** Whether something may be asked of the node: nothing is under way, and what is known of it has not failed. */
export function mayRequest({ known, requesting, reading, failedVersion }: Member): boolean {
  return requesting === null && reading === "no" && known?.version !== failedVersion;
}

/** Asks for another content of the node, if it is still the known one. */
export function request(
  turn: Turn,
  requestKind: "promote" | "reconfigure",
  state: KnownState["state"],
): void {
  const { known, requestCount } = turn.member;
  if (known === null) return;
  const next = { created: known.created, version: known.version, state };
  const number = requestCount + 1;
  turn.change({ requesting: { request: number, next }, requestCount: number });
  turn.want({ kind: "request", request: number, requestKind, next });
}

/**
 * Whether the epoch that the node names was begun by an unclean promotion whose record is not safe in this journal: who
 * was promoted died before. The next record says it in its place.
 */
function isUncleanUntold({ state }: KnownState, { epochs, durable }: MemberLog): boolean {
  const isTold = epochs.some(({ epoch, position }) => epoch === state.epoch && position < durable);
  return state.unclean && !isTold;
}
