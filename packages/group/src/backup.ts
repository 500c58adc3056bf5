import { becomeCandidate, refuseOlder } from "./candidate.ts";
import type { Frame } from "./frames.ts";
import { isSameReplica } from "./group-state.ts";
import type { Turn } from "./turn.ts";

/** Promises the epoch that the node names, then greets its live. */
export function pumpBackup(turn: Turn): void {
  const { role, known, self, fencing, fencedEpoch, connected, groupId } = turn.member;
  if (role.kind !== "backup" || known === null || fencing !== null) return;
  const { state } = known;
  if (state.epoch > fencedEpoch) {
    turn.change({ fencing: state.epoch });
    return turn.want({ kind: "fence", epoch: state.epoch });
  }
  const live = state.live;
  if (role.following.kind !== "nobody" || live === null || live.id === self.id) return;
  if (!connected.includes(live.id)) return;
  turn.become({ kind: "backup", following: { kind: "greeted", live: live.id } });
  const { epochs, end } = turn.log;
  // It may have promised more than the node says, when it stood and lost: the live has to know, and rise above it.
  turn.send(live.id, { kind: "hello", epoch: fencedEpoch, groupId, ...self, epochs, end });
}

/** Tells the live how far the journal is durable. */
export function reportDurable(turn: Turn): void {
  const { role, fencing, fencedEpoch } = turn.member;
  if (role.kind !== "backup" || role.following.kind !== "aligned" || fencing !== null) return;
  const { live } = role.following;
  turn.send(live, { kind: "acknowledge", epoch: fencedEpoch, position: turn.log.durable });
}

/** What others say to a backup. Only the live that it follows, in the epoch that it has promised, may change its journal. */
export function takeFrameAsBackup(turn: Turn, from: string, frame: Frame): void {
  switch (frame.kind) {
    case "align":
      return isFollowed(turn, from, frame, "greeted")
        ? align(turn, from, frame)
        : turnAway(turn, from, frame);
    case "append":
      return isFollowed(turn, from, frame, "aligned")
        ? append(turn, from, frame)
        : turnAway(turn, from, frame);
    case "handOver":
      if (isFollowed(turn, from, frame, "aligned")) becomeCandidate(turn, [], false);
      return undefined;
    case "refuse":
      return takeRefusal(turn, frame);
    case "hello":
      return turn.want({ kind: "disconnect", id: from });
    case "acknowledge":
      return undefined;
  }
}

function isFollowed(turn: Turn, from: string, frame: Frame, kind: "greeted" | "aligned"): boolean {
  const { role, fencing, fencedEpoch } = turn.member;
  if (role.kind !== "backup" || role.following.kind !== kind) return false;
  return role.following.live === from && fencing === null && frame.epoch === fencedEpoch;
}

/** An older live is told so; whoever else speaks out of turn has to begin again. */
function turnAway(turn: Turn, from: string, frame: Frame): void {
  const sent = turn.effects.length;
  refuseOlder(turn, from, frame);
  if (turn.effects.length === sent) turn.want({ kind: "disconnect", id: from });
}

function align(turn: Turn, live: string, frame: Frame<"align">): void {
  const { log, member } = turn;
  if (frame.position < member.commitPosition) return turn.stop("below-commit");
  if (log.chainAt(frame.position) !== frame.chain) return turn.stop("diverged");
  turn.commit(Math.min(frame.commitPosition, frame.position));
  if (frame.position < log.end) {
    turn.become({ kind: "backup", following: { kind: "truncating", live } });
    return turn.want({ kind: "truncate", position: frame.position });
  }
  turn.become({ kind: "backup", following: { kind: "aligned", live } });
  reportDurable(turn);
}

function append(turn: Turn, live: string, frame: Frame<"append">): void {
  const { log } = turn;
  const end = frame.position + frame.batch.length;
  const isNext = frame.position === log.end;
  const isHeld = end <= log.end;
  if (log.chainAt(frame.position) !== frame.chain || (!isNext && !isHeld)) {
    return turn.want({ kind: "disconnect", id: live });
  }
  if (isNext && frame.batch.length > 0) turn.want({ kind: "append", batch: frame.batch });
  else reportDurable(turn);
  turn.commit(Math.min(frame.commitPosition, end));
}

function takeRefusal(turn: Turn, { epoch, reason }: Frame<"refuse">): void {
  const { known, self } = turn.member;
  if (reason === "foreign-group" || reason === "id-taken") return turn.stop(reason);
  if (known === null || epoch <= known.state.epoch || isSameReplica(known.state.live, self)) return;
  turn.read();
}
