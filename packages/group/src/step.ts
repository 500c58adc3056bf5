import {
  pumpBackup,
  reportDurable,
  settleTruncation,
  takeFrameAsBackup,
  unfollow,
} from "./backup.ts";
import { becomeCandidate, mayStand, pumpCandidate } from "./candidate.ts";
import type { Frame } from "./frames.ts";
import { includesReplica, isSameReplica } from "./group-state.ts";
import { limits } from "./limits.ts";
import { becomeLive, pumpLive, takeFrameAsLive } from "./live.ts";
import {
  promisedEpoch,
  type Input,
  type KnownState,
  type Member,
  type MemberLog,
  type NodeVersion,
  type Step,
} from "./member.ts";
import { Turn } from "./turn.ts";

/**
 * The one way in which a member changes: what happened goes in, what it wants done comes out. Inputs only note what
 * happened; then the member does whatever can be done now. It never fails on what peers or ZooKeeper say: it refuses,
 * disconnects or stops. A stopped member does nothing.
 *
 * ```
 *            promote, and the node was read      the compare-and-set is done
 *   backup -------------------------> candidate -----------------------> live
 *     ^                                   |                               |
 *     |  another has led, it is not in    |                               |  the node says otherwise
 *     |  sync any more, or: withdraw      |                               |
 *     +-----------------------------------+<------------------------------+
 *                       (candidate again: a higher epoch was heard of, the node still names it)
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
      turn.settleRead();
      adoptRead(turn, input.known, input.since ?? null);
      return standAsWished(turn);
    case "absent":
    case "unreadable":
      turn.settleRead();
      return adoptNothing(turn, input.kind);
    case "changed":
      return turn.read();
    case "outcome":
      return settleRequest(turn, input);
    case "retry":
      return retry(turn);
    case "fenced":
      return settleFence(turn, input.epoch);
    case "durable":
      return reportDurable(turn);
    case "truncated":
      return settleTruncation(turn);
    case "connected": {
      const { link, id, outgoing } = input;
      return turn.change({ links: [...turn.member.links, { link, id, outgoing }] });
    }
    case "disconnected":
      return turn.forget(input.link);
    case "frame":
      return takeFrame(turn, input);
    case "promote": {
      if (turn.member.role.kind !== "backup") return undefined;
      const { without, unclean } = input;
      turn.change({ wish: { without, unclean } });
      return turn.read();
    }
    case "withdraw":
      turn.change({ wish: null });
      if (turn.member.role.kind === "candidate") turn.follow({ kind: "nobody" });
      return undefined;
    case "drop":
    case "hold":
    case "admit":
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
  pumpCalls(turn);
}

/** A backup calls the live that the node names; nobody else calls anybody. */
function pumpCalls(turn: Turn): void {
  const { role, known, self, calling } = turn.member;
  const live = role.kind === "backup" ? (known?.state.live?.id ?? null) : null;
  const id = live === self.id ? null : live;
  if (id === calling) return;
  turn.change({ calling: id });
  turn.want({ kind: "follow", id });
}

/** What was read cannot be older than what was seen before: nothing that somebody restored from a backup is believed. */
function adoptRead(turn: Turn, known: KnownState, since: NodeVersion | null): void {
  if (since !== null && known.created !== since.created) return turn.stop("state-gone");
  if (since !== null && known.version < since.version) return turn.stop("older-state");
  adoptState(turn, known);
}

/** The node says this now. What it says of the epoch decides who this member is. */
function adoptState(turn: Turn, known: KnownState): void {
  const { member, log } = turn;
  const { state, version, created } = known;
  if (state.groupId !== member.groupId) return turn.stop("foreign-group");
  if (state.features > member.features) return turn.stop("lacks-features");
  const before = member.known;
  if (before !== null && created !== before.created) return turn.stop("state-gone");
  // What comes late, as the outcome of an own write that others have written over, is no news.
  if (before !== null && version <= before.version) return;
  // A record that begins an epoch is written only after the node has said so: the node cannot be behind it.
  if (state.epoch < (log.epochs.at(-1)?.epoch ?? 0)) return turn.stop("older-state");
  if (before !== null && state.epoch < before.state.epoch) return turn.stop("older-state");
  const seenEpoch = Math.max(member.seenEpoch, state.epoch);
  turn.change({ known, seenEpoch, failedVersion: null });
  const { role, self } = member;
  const isMine = isSameReplica(state.live, self) && includesReplica(state.inSync, self);
  switch (role.kind) {
    case "live": {
      if (!isMine || state.epoch !== role.epoch) return turn.stepDown();
      const isInSync = (id: string): boolean => state.inSync.some((one) => one.id === id);
      // A newer version settles all requests on the older one: none of them can be done any more.
      const dropping = role.dropping.filter(isInSync);
      const handOver = role.handOver !== null && isInSync(role.handOver.to) ? role.handOver : null;
      return turn.become({ ...role, asked: [], dropping, handOver });
    }
    case "candidate":
      if (isMine && state.epoch === role.epoch) return becomeLive(turn, role.epoch, state.unclean);
      if (mayStand(turn.member, role)) return;
      return turn.follow({ kind: "nobody" });
    case "backup":
      // Journals are aligned anew in every epoch.
      if (state.epoch !== before?.state.epoch) unfollow(turn);
      // Somebody else was quicker: what was held against the live of before says nothing about this one.
      if (before !== null && state.epoch > before.state.epoch && member.wish?.unclean === null) {
        turn.change({ wish: null });
      }
      return;
    case "stopped":
      return;
  }
}

/** The node was read for this, so it may be done: nothing was given up for a hint while ZooKeeper did not answer. */
function standAsWished(turn: Turn): void {
  const { wish, role, reading } = turn.member;
  if (wish === null || reading !== "no") return;
  turn.change({ wish: null });
  if (role.kind === "backup") becomeCandidate(turn, wish);
}

/** The node tells nothing: nothing is decided by it. One that was there before is gone for good. */
function adoptNothing(turn: Turn, found: "absent" | "unreadable"): void {
  const { known } = turn.member;
  turn.change({ wish: null, failedVersion: known?.version ?? null });
  if (found === "absent" && known !== null) turn.stop("state-gone");
}

function settleRequest(
  turn: Turn,
  { request, result }: Extract<Input, { readonly kind: "outcome" }>,
): void {
  const { requesting } = turn.member;
  if (requesting?.request !== request) return;
  const { next } = requesting;
  turn.change({ requesting: null });
  if (result === "done") return adoptState(turn, { ...next, version: next.version + 1 });
  if (turn.member.known?.version === next.version) turn.change({ failedVersion: next.version });
  turn.read();
}

function retry(turn: Turn): void {
  turn.change({ failedVersion: null });
  const { role } = turn.member;
  if (role.kind !== "live" || role.handOver === null) return;
  turn.become({ ...role, handOver: { ...role.handOver, invited: null } });
}

function settleFence(turn: Turn, epoch: number): void {
  const { fencedEpoch, fencing } = turn.member;
  turn.change({
    fencedEpoch: Math.max(fencedEpoch, epoch),
    fencing: fencing === epoch ? null : fencing,
  });
}

function takeFrame(turn: Turn, { link, frame }: Extract<Input, { readonly kind: "frame" }>): void {
  const { member } = turn;
  const { known, role, seenEpoch } = member;
  const from = member.links.find((one) => one.link === link);
  if (from === undefined) return;
  if (known === null || (frame.kind === "hello" && frame.id !== from.id)) {
    return turn.disconnect(link);
  }
  const reason = frame.kind === "hello" ? strangeness(member, known, frame) : null;
  if (reason !== null) {
    return turn.send(link, { kind: "refuse", epoch: promisedEpoch(member), reason });
  }
  const epoch = Math.max(promisedEpoch(member), known.state.epoch);
  if (frame.epoch > epoch + limits.epochRiseMax) return turn.disconnect(link);
  turn.change({ seenEpoch: Math.max(seenEpoch, frame.epoch) });
  // Somebody may have been promoted. What the frame says is no proof: the node is read.
  if (frame.epoch > epoch) turn.read();
  if (role.kind === "backup") takeFrameAsBackup(turn, link, frame);
  if (role.kind === "live") takeFrameAsLive(turn, link, frame);
  // A candidate follows nobody and leads nobody.
  if (role.kind === "candidate") turn.disconnect(link);
}

/** Why nothing of what a HELLO says is to be believed; null where it is one of this group. */
function strangeness(member: Member, known: KnownState, hello: Frame<"hello">): string | null {
  if (hello.groupId !== member.groupId) return "foreign-group";
  if (hello.id === member.self.id) return "id-taken";
  return hello.features < known.state.features ? "lacks-features" : null;
}

function instructLive(
  turn: Turn,
  input: Extract<Input, { readonly kind: "drop" | "hold" | "admit" | "hand-over" }>,
): void {
  const { role, self, known } = turn.member;
  if (role.kind !== "live" || known === null) return;
  const isInSync = (id: string): boolean => known.state.inSync.some((one) => one.id === id);
  switch (input.kind) {
    case "drop": {
      const { id } = input;
      if (!isInSync(id) || id === self.id || role.dropping.includes(id)) return;
      return turn.become({ ...role, dropping: [...role.dropping, id].toSorted() });
    }
    case "hold":
      if (role.held.includes(input.id)) return;
      return turn.become({ ...role, held: [...role.held, input.id].toSorted() });
    case "admit":
      return turn.become({ ...role, held: role.held.filter((id) => id !== input.id) });
    case "hand-over": {
      const { to } = input;
      if (to === null) return turn.become({ ...role, handOver: null });
      if (!isInSync(to) || to === self.id) return;
      return turn.become({ ...role, handOver: { to, invited: null } });
    }
  }
}
