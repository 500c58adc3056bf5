import { becomeCandidate } from "./candidate.ts";
import { agreedPosition } from "./epoch-table.ts";
import type { Frame } from "./frames.ts";
import { includesReplica, isSameReplica, type Replica } from "./group-state.ts";
import { limits } from "./limits.ts";
import type { KnownState, Member, Role } from "./member.ts";
import type { Turn } from "./turn.ts";

type Live = Role & { readonly kind: "live" };

/** The node names this member, in the epoch that it stood for. Its whole journal stands. */
export function becomeLive(turn: Turn, candidate: Role & { readonly kind: "candidate" }): void {
  const { epoch, unclean } = candidate;
  const epochStart = turn.log.end;
  turn.become({
    kind: "live",
    epoch,
    epochStart,
    peers: [],
    asked: [],
    dropping: [],
    handingOverTo: null,
    handedOver: false,
  });
  turn.want({ kind: "begin-epoch", epoch, unclean });
}

/** Commits what it can, asks for the in-sync set that should be, and gives way where it is to. */
export function pumpLive(turn: Turn): void {
  const { role, known, seenEpoch, reading, requesting } = turn.member;
  if (role.kind !== "live" || known === null) return;
  if (seenEpoch > role.epoch) {
    // The node was read since, and still names this member: somebody stood and lost, and can follow only a higher epoch.
    if (reading || requesting !== null) return;
    turn.want({ kind: "step-down" });
    return becomeCandidate(turn, [], false);
  }
  commitWhatAllHave(turn, role, known);
  if (!reading && requesting === null) reconfigure(turn, role, known);
  handOver(turn, role);
}

/** What others say to a live. */
export function takeFrameAsLive(turn: Turn, from: string, frame: Frame): void {
  const { role } = turn.member;
  if (role.kind !== "live") return;
  switch (frame.kind) {
    case "hello":
      return welcome(turn, role, from, frame);
    case "acknowledge":
      return noteAcknowledged(turn, role, from, frame);
    case "refuse":
      return;
    case "align":
    case "append":
    case "handOver":
      // A deposed live that does not know it.
      if (frame.epoch >= role.epoch) return;
      return turn.send(from, { kind: "refuse", epoch: role.epoch, reason: "older-epoch" });
  }
}

function welcome(turn: Turn, role: Live, from: string, hello: Frame<"hello">): void {
  const { log, member } = turn;
  const { epoch } = role;
  if (hello.groupId !== member.groupId) {
    return turn.send(from, { kind: "refuse", epoch, reason: "foreign-group" });
  }
  if (hello.id === member.self.id) {
    return turn.send(from, { kind: "refuse", epoch, reason: "id-taken" });
  }
  if (hello.epoch < epoch) {
    return turn.send(from, { kind: "refuse", epoch, reason: "older-epoch" });
  }
  const isKnown = role.peers.some(({ id }) => id === hello.id);
  const position = agreedPosition(log, hello);
  const chain = log.chainAt(position);
  if (hello.epoch > epoch || isKnown || chain === null) {
    return turn.want({ kind: "disconnect", id: from });
  }
  const { id, incarnation } = hello;
  const peer = { id, incarnation, alignedAt: position, acknowledged: null };
  turn.become({ ...role, peers: [...role.peers, peer] });
  const { commitPosition } = member;
  turn.send(from, { kind: "align", epoch, position, chain, commitPosition });
}

function noteAcknowledged(
  turn: Turn,
  role: Live,
  from: string,
  { epoch, position }: Frame<"acknowledge">,
): void {
  const peer = role.peers.find(({ id }) => id === from);
  if (peer === undefined || epoch !== role.epoch) return;
  if (position > turn.log.end) return turn.want({ kind: "disconnect", id: from });
  const acknowledged = Math.max(peer.acknowledged ?? 0, position);
  const peers = role.peers.map((one) => (one === peer ? { ...one, acknowledged } : one));
  turn.become({ ...role, peers });
  if (peer.acknowledged === null) turn.want({ kind: "ship", to: from, from: peer.alignedAt });
}

/**
 * Commits what is durable on every member that could be promoted: those in sync, and those of every set that was asked
 * for and may be in force. So a member stays needed until the set without it is known to be in force, and is needed
 * from the moment when one with it is asked for.
 */
function commitWhatAllHave(turn: Turn, role: Live, { state }: KnownState): void {
  if (state.inSync.length < state.minInSync) return;
  const needed = [state.inSync, ...role.asked].flat();
  turn.commit(Math.min(...needed.map((one) => durableAt(turn, role, one))));
}

function durableAt(turn: Turn, role: Live, replica: Replica): number {
  if (isSameReplica(turn.member.self, replica)) return turn.log.durable;
  const peer = role.peers.find((one) => isSameReplica(one, replica));
  return peer?.acknowledged ?? 0;
}

function reconfigure(turn: Turn, role: Live, known: KnownState): void {
  const inSync = wantedSet(turn.member, role, known);
  const { version, state } = known;
  const next = { version, state: { ...state, inSync: inSync ?? state.inSync } };
  // A set that may yet be put in force is settled by any write of this version.
  if (inSync === null && role.asked.length === 0) return;
  const asked = [...role.asked, next.state.inSync];
  turn.become({ ...role, asked });
  turn.change({ requesting: next });
  turn.want({ kind: "request", next });
}

/** The in-sync set that should be instead of the one that is; null where it is right. One member at a time. */
function wantedSet(member: Member, role: Live, { state }: KnownState): readonly Replica[] | null {
  const { inSync } = state;
  const reborn = role.peers.find((peer) => has(inSync, peer.id) && !includesReplica(inSync, peer));
  const gone = role.dropping.find((id) => has(inSync, id)) ?? reborn?.id;
  if (gone !== undefined) return inSync.filter(({ id }) => id !== gone);
  const joiner = role.peers.find((peer) => {
    if (has(inSync, peer.id) || role.dropping.includes(peer.id)) return false;
    // The beginning of this epoch lies behind all that earlier ones committed: who has it lacks nothing of them. The
    // commit position alone would not do, for a new live may not have heard of all that is committed.
    return (peer.acknowledged ?? 0) > Math.max(role.epochStart, member.commitPosition - 1);
  });
  if (joiner === undefined || inSync.length >= limits.inSyncCountMax) return null;
  return [...inSync, { id: joiner.id, incarnation: joiner.incarnation }];
}

function handOver(turn: Turn, role: Live): void {
  const { handingOverTo: to, handedOver, epoch } = role;
  if (to === null || handedOver || turn.member.commitPosition < turn.log.end) return;
  if (!role.peers.some(({ id, acknowledged }) => id === to && acknowledged !== null)) return;
  const { role: current } = turn.member;
  if (current.kind === "live") turn.become({ ...current, handedOver: true });
  turn.send(to, { kind: "handOver", epoch });
}

function has(replicas: readonly Replica[], id: string): boolean {
  return replicas.some((one) => one.id === id);
}
