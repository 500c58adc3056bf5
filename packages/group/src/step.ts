import { takeFrameAsBackup, pumpBackup, reportDurable } from "./backup.ts";
import { becomeCandidate, mayStand, pumpCandidate, takeFrameAsCandidate } from "./candidate.ts";
import { includesReplica, isSameReplica } from "./group-state.ts";
import { becomeLive, pumpLive, takeFrameAsLive } from "./live.ts";
import type { Input, KnownState, Member, MemberLog, Step } from "./member.ts";
import { Turn } from "./turn.ts";

/**
 * The one way in which a member changes: what happened goes in, what it wants done comes out. Inputs only note what
 * happened; then the member does whatever can be done now. It never fails on what peers or ZooKeeper say: it refuses,
 * disconnects or stops. A stopped member does nothing.
 *
 * ```
 *            promote                   the compare-and-set is done
 *   backup ----------> candidate ------------------------------------> live
 *     ^                    |                                             |
 *     |  another has led, or it is not in sync any more                  |  the node says otherwise
 *     +--------------------+<--------------------------------------------+
 *                              (candidate again: a higher epoch was heard of, the node still names it)
 * ```
 */
export function step(member: Member, input: Input, log: MemberLog): Step {
  const turn = new Turn(member, log);
  if (member.role.kind !== "stopped") take(turn, input);
  pump(turn);
  return { member: turn.member, effects: turn.effects };
}

function take(turn: Turn, input: Input): void {
  switch (input.kind) {
    case "state":
      turn.change({ reading: false });
      return adoptState(turn, input.known);
    case "outcome":
      return settleRequest(turn, input.result);
    case "fenced":
      return settleFence(turn, input.epoch);
    case "durable":
      return reportDurable(turn);
    case "truncated":
      return settleTruncation(turn);
    case "connected":
      return turn.change({ connected: [...turn.member.connected, input.id].toSorted() });
    case "disconnected":
      return loseConnection(turn, input.id);
    case "frame":
      return takeFrame(turn, input);
    case "promote":
      if (turn.member.role.kind === "backup") becomeCandidate(turn, input.without, input.unclean);
      return undefined;
    case "drop":
    case "hand-over":
      return instructLive(turn, input);
    case "stop":
      return turn.stop("told");
  }
}

function pump(turn: Turn): void {
  if (turn.member.role.kind === "backup") pumpBackup(turn);
  if (turn.member.role.kind === "live") pumpLive(turn);
  if (turn.member.role.kind === "candidate") pumpCandidate(turn);
}

/** The node says this now. What it says of the epoch decides who this member is. */
function adoptState(turn: Turn, known: KnownState): void {
  const { member, log } = turn;
  const { state, version } = known;
  if (state.groupId !== member.groupId) return turn.stop("foreign-group");
  // What comes late, as the outcome of an own write that others have written over, is no news.
  const before = member.known;
  if (before !== null && version <= before.version) return;
  // A record that begins an epoch is written only after the node has said so: the node cannot be behind it.
  if (state.epoch < (log.epochs.at(-1)?.epoch ?? 0)) return turn.stop("older-state");
  if (before !== null && state.epoch < before.state.epoch) return turn.stop("older-state");
  turn.change({ known, seenEpoch: Math.max(member.seenEpoch, state.epoch) });
  const { role, self } = member;
  const isMine = isSameReplica(state.live, self);
  switch (role.kind) {
    case "live":
      // A newer version settles all requests on the older one: none of them can be done any more.
      if (isMine && state.epoch === role.epoch) {
        const dropping = role.dropping.filter((id) => state.inSync.some((one) => one.id === id));
        return turn.become({ ...role, asked: [], dropping });
      }
      turn.want({ kind: "step-down" });
      return turn.become({ kind: "backup", following: { kind: "nobody" } });
    case "candidate":
      if (isMine && state.epoch === role.epoch) return becomeLive(turn, role);
      if (mayStand(turn.member, role)) return;
      return turn.become({ kind: "backup", following: { kind: "nobody" } });
    case "backup":
      // Journals are aligned anew in every epoch. A cut under way comes first.
      if (state.epoch === before?.state.epoch || role.following.kind === "truncating") return;
      return turn.become({ kind: "backup", following: { kind: "nobody" } });
    case "stopped":
      return;
  }
}

function settleRequest(turn: Turn, result: "done" | "refused" | "unknown"): void {
  const { requesting } = turn.member;
  if (requesting === null) return;
  turn.change({ requesting: null });
  if (result !== "done") return turn.read();
  adoptState(turn, { version: requesting.version + 1, state: requesting.state });
}

function settleFence(turn: Turn, epoch: number): void {
  const { fencedEpoch, fencing } = turn.member;
  turn.change({
    fencedEpoch: Math.max(fencedEpoch, epoch),
    fencing: fencing === epoch ? null : fencing,
  });
}

function settleTruncation(turn: Turn): void {
  const { role, connected, known, fencedEpoch } = turn.member;
  if (role.kind !== "backup" || role.following.kind !== "truncating") return;
  const { live } = role.following;
  const isCurrent = known?.state.live?.id === live && known.state.epoch === fencedEpoch;
  if (!isCurrent || !connected.includes(live)) {
    return turn.become({ kind: "backup", following: { kind: "nobody" } });
  }
  turn.become({ kind: "backup", following: { kind: "aligned", live } });
  reportDurable(turn);
}

function loseConnection(turn: Turn, id: string): void {
  const { role, connected } = turn.member;
  turn.change({ connected: connected.filter((one) => one !== id) });
  if (role.kind === "live") {
    turn.become({ ...role, peers: role.peers.filter((peer) => peer.id !== id) });
  }
  if (role.kind !== "backup") return;
  const { following } = role;
  // A cut goes on without its live: it ends the same way.
  if (following.kind === "nobody" || following.kind === "truncating" || following.live !== id)
    return;
  turn.become({ kind: "backup", following: { kind: "nobody" } });
}

function takeFrame(turn: Turn, { from, frame }: Input & { kind: "frame" }): void {
  const { role, seenEpoch } = turn.member;
  turn.change({ seenEpoch: Math.max(seenEpoch, frame.epoch) });
  // Somebody may have been promoted. What the frame says is no proof: the node is read.
  if (role.kind === "live" && frame.epoch > role.epoch) turn.read();
  if (role.kind === "backup") takeFrameAsBackup(turn, from, frame);
  if (role.kind === "live") takeFrameAsLive(turn, from, frame);
  if (role.kind === "candidate") takeFrameAsCandidate(turn, from, frame);
}

function instructLive(turn: Turn, input: Input & { kind: "drop" | "hand-over" }): void {
  const { role, self, known } = turn.member;
  if (role.kind !== "live" || known === null) return;
  if (input.kind === "drop") {
    const isThere = known.state.inSync.some(({ id }) => id === input.id);
    if (!isThere || input.id === self.id || role.dropping.includes(input.id)) return;
    return turn.become({ ...role, dropping: [...role.dropping, input.id].toSorted() });
  }
  const to = known.state.inSync.find(({ id }) => id === input.to);
  const mayTake = to !== undefined && !includesReplica([self], to);
  if (input.to !== null && !mayTake) return;
  turn.become({ ...role, handingOverTo: input.to, handedOver: false });
}
