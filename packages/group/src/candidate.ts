import type { Frame } from "./frames.ts";
import { includesReplica } from "./group-state.ts";
import { promisedEpoch, type Member, type Role } from "./member.ts";
import type { Turn } from "./turn.ts";

type Candidate = Role & { readonly kind: "candidate" };

/**
 * Stands for promotion, if it may. Its epoch is above all that it has promised, on its disk too, or heard of: an attempt
 * that was given up, even by a process that died, and is carried out late can never be taken for this one.
 */
export function becomeCandidate(turn: Turn, without: readonly string[], unclean: boolean): void {
  const { member } = turn;
  const { role } = member;
  const isCutting = role.kind === "backup" && role.following.kind === "truncating";
  if (member.known === null || isCutting) return;
  const epochs = [promisedEpoch(member), member.seenEpoch, member.known.state.epoch];
  const candidate = {
    kind: "candidate",
    epoch: Math.max(...epochs) + 1,
    without,
    unclean,
  } as const;
  if (mayStand(member, candidate)) turn.become(candidate);
}

/** Whether the node as it is known lets this member be promoted to that epoch: with this very disk, it is in sync. */
export function mayStand({ known, self }: Member, { epoch, unclean }: Candidate): boolean {
  if (known === null || known.state.epoch >= epoch) return false;
  return unclean || includesReplica(known.state.inSync, self);
}

/** Fence first, durably; only then ask. An ack that is on its way was for what this journal has. */
export function pumpCandidate(turn: Turn): void {
  const { role, fencing, fencedEpoch, known, requesting, reading, self } = turn.member;
  if (role.kind !== "candidate" || fencing !== null) return;
  if (fencedEpoch < role.epoch) {
    turn.change({ fencing: role.epoch });
    return turn.want({ kind: "fence", epoch: role.epoch });
  }
  if (known === null || requesting !== null || reading) return;
  const kept = known.state.inSync.filter(({ id }) => id === self.id || !role.without.includes(id));
  const inSync = role.unclean ? [self] : kept;
  const { epoch } = role;
  const state = { ...known.state, epoch, live: self, inSync, epochStart: turn.log.end };
  const next = { version: known.version, state };
  turn.change({ requesting: next });
  turn.want({ kind: "request", next });
}

/** A candidate follows nobody and leads nobody. */
export function takeFrameAsCandidate(turn: Turn, from: string, frame: Frame): void {
  if (frame.kind === "hello") return turn.want({ kind: "disconnect", id: from });
  refuseOlder(turn, from, frame);
}

/** Tells a live of an older epoch what was promised. */
export function refuseOlder(turn: Turn, from: string, frame: Frame): void {
  const epoch = promisedEpoch(turn.member);
  const isFromLive = frame.kind === "align" || frame.kind === "append" || frame.kind === "handOver";
  if (!isFromLive || frame.epoch >= epoch) return;
  turn.send(from, { kind: "refuse", epoch, reason: "older-epoch" });
}
