import { becomeCandidate } from "./candidate.ts";
import type { Frame } from "./frames.ts";
import { includesReplica, isSameReplica } from "./group-state.ts";
import { limits } from "./limits.ts";
import type { Following } from "./member.ts";
import type { Turn } from "./turn.ts";

/** Promises the epoch that the node names, then greets its live. Who is named itself stands again. */
export function pumpBackup(turn: Turn): void {
  const { role, known, self, fencing, fencedEpoch, links, groupId, features } = turn.member;
  if (role.kind !== "backup" || known === null || fencing !== null) return;
  const { state } = known;
  // Nobody else leads: it was live and stopped, or was promoted and had given up.
  if (isSameReplica(state.live, self)) becomeCandidate(turn, { without: [], unclean: null });
  if (turn.member.role.kind === "candidate") return;
  if (state.epoch > fencedEpoch) {
    turn.change({ fencing: state.epoch });
    return turn.want({ kind: "fence", epoch: state.epoch });
  }
  if (role.following.kind !== "nobody") return;
  const link = links.findLast(({ outgoing, id }) => outgoing && id === state.live?.id)?.link;
  if (link === undefined) return;
  turn.follow({ kind: "greeted", link });
  const epochs = turn.log.epochs.slice(-limits.epochCountMax);
  const { end } = turn.log;
  // It may have promised more than the node says, when it stood and lost: the live has to know, and rise above it.
  const epoch = fencedEpoch;
  turn.send(link, { kind: "hello", epoch, features, groupId, ...self, epochs, end });
}

/** Begins again with whoever the node names, on another link. A cut under way comes first. */
export function unfollow(turn: Turn): void {
  const { role } = turn.member;
  if (role.kind !== "backup") return;
  const { following } = role;
  if (following.kind === "nobody" || following.kind === "truncating") return;
  turn.disconnect(following.link);
}

/** Tells the live how far the journal is durable. */
export function reportDurable(turn: Turn): void {
  const { role, fencing, fencedEpoch } = turn.member;
  if (role.kind !== "backup" || role.following.kind !== "aligned" || fencing !== null) return;
  const { durable } = turn.log;
  const { link } = role.following;
  turn.send(link, { kind: "acknowledge", epoch: fencedEpoch, position: durable });
}

/** The journal is cut. It is aligned if the link and the epoch in which it was to be cut are still those. */
export function settleTruncation(turn: Turn): void {
  const { role, links, known, fencedEpoch, fencing } = turn.member;
  if (role.kind !== "backup" || role.following.kind !== "truncating") return;
  const { link, epoch } = role.following;
  const isCurrent = known?.state.epoch === epoch && fencedEpoch === epoch && fencing === null;
  if (isCurrent && links.some((one) => one.link === link)) {
    turn.follow({ kind: "aligned", link });
    return reportDurable(turn);
  }
  turn.follow({ kind: "nobody" });
  turn.disconnect(link);
}

/**
 * What others say to a backup. Only the live that it follows, in the epoch that it has promised, may change its journal;
 * whoever speaks out of turn has to begin again.
 */
export function takeFrameAsBackup(turn: Turn, link: number, frame: Frame): void {
  switch (frame.kind) {
    case "align":
      if (!isFollowed(turn, link, frame, "greeted")) return turn.disconnect(link);
      return align(turn, link, frame);
    case "append":
      if (!isFollowed(turn, link, frame, "aligned")) return turn.disconnect(link);
      return append(turn, link, frame);
    case "beat":
      if (!isFollowed(turn, link, frame, "aligned")) return undefined;
      return turn.commit(Math.min(frame.commitPosition, turn.log.end));
    case "handOver":
      if (!isFollowed(turn, link, frame, "aligned")) return turn.disconnect(link);
      // The live knows that this member may be promoted; it may know an older node itself, and reads it first.
      turn.change({ wish: { without: [], unclean: null } });
      return turn.read();
    case "refuse":
      return takeRefusal(turn, link, frame);
    case "hello":
    case "fillAsk":
    case "fillOffer":
    case "fillRead":
    case "fillData":
    case "pieceAsk":
    case "pieceGiven":
      return turn.disconnect(link);
    case "acknowledge":
    case "answer":
      return undefined;
  }
}

function isFollowed(turn: Turn, link: number, frame: Frame, kind: Following["kind"]): boolean {
  const { role, fencing, fencedEpoch } = turn.member;
  if (role.kind !== "backup" || role.following.kind !== kind) return false;
  if (role.following.kind === "nobody" || role.following.link !== link) return false;
  return fencing === null && frame.epoch === fencedEpoch;
}

function align(turn: Turn, link: number, frame: Frame<"align">): void {
  const { log, member } = turn;
  if (frame.features > member.features) return turn.stop("lacks-features");
  if (frame.position < member.commitPosition) return turn.stop("below-commit");
  if (log.chainAt(frame.position) !== frame.chain) return turn.stop("diverged");
  turn.commit(Math.min(frame.commitPosition, frame.position));
  if (frame.position < log.end) {
    turn.follow({ kind: "truncating", link, epoch: frame.epoch });
    return turn.want({ kind: "truncate", position: frame.position });
  }
  turn.follow({ kind: "aligned", link });
  reportDurable(turn);
}

function append(turn: Turn, link: number, frame: Frame<"append">): void {
  const { log } = turn;
  const { position, end, piece } = frame;
  const isNext = position === log.end && end > position;
  const isHeld = position < end && end <= log.end;
  if (log.chainAt(position) !== frame.chain || (!isNext && !isHeld)) return turn.disconnect(link);
  if (isNext) turn.want({ kind: "append", position, end, piece });
  else reportDurable(turn);
  turn.commit(Math.min(frame.commitPosition, end));
}

/** What the live that it greeted will not have. */
function takeRefusal(turn: Turn, link: number, { reason }: Frame<"refuse">): void {
  const { role } = turn.member;
  if (role.kind !== "backup" || role.following.kind !== "greeted") return;
  if (role.following.link !== link) return;
  switch (reason) {
    case "too-far-behind":
      // Who is in sync cannot be: what is known here of the set is old, and is read anew before anything is given up.
      if (includesReplica(turn.member.known?.state.inSync ?? [], turn.member.self)) {
        turn.read();
        return turn.disconnect(link);
      }
      return turn.stop(reason);
    case "foreign-group":
    case "id-taken":
    case "lacks-features":
      return turn.stop(reason);
    default:
      return undefined;
  }
}
