import { becomeCandidate, mayRequest, request } from "./candidate.ts";
import { agreedPosition } from "./epoch-table.ts";
import type { Frame } from "./frames.ts";
import { includesReplica, isSameReplica, type Replica } from "./group-state.ts";
import { limits } from "./limits.ts";
import type { KnownState, Member, Role } from "./member.ts";
import type { Turn } from "./turn.ts";

type Live = Role & { readonly kind: "live" };

/** The node names this member, in the epoch that it stood for. Its whole journal stands. */
export function becomeLive(turn: Turn, epoch: number, unclean: boolean): void {
  turn.become({
    kind: "live",
    epoch,
    epochStart: turn.log.end,
    peers: [],
    asked: [],
    dropping: [],
    held: [],
    handOver: null,
  });
  turn.want({ kind: "begin-epoch", epoch, unclean });
}

/** Commits what it can, asks for the in-sync set that should be, and gives way where it is to. */
export function pumpLive(turn: Turn): void {
  const { role, known, seenEpoch } = turn.member;
  if (role.kind !== "live" || known === null) return;
  if (seenEpoch > role.epoch) {
    // The node was read since, and still names this member: somebody stood and lost, and can follow only a higher epoch.
    if (mayRequest(turn.member)) becomeCandidate(turn, { without: [], unclean: null });
    return;
  }
  commitWhatAllHave(turn, role, known);
  if (mayRequest(turn.member)) reconfigure(turn, role, known);
  invite(turn, role);
}

/** What others say to a live. */
export function takeFrameAsLive(turn: Turn, link: number, frame: Frame): void {
  const { role, known } = turn.member;
  if (role.kind !== "live" || known === null) return;
  switch (frame.kind) {
    case "hello":
      return welcome(turn, role, known, link, frame);
    case "acknowledge":
      return noteAcknowledged(turn, role, link, frame);
    case "refuse":
    case "answer":
      return;
    case "align":
    case "append":
    case "beat":
    case "handOver":
    case "fillAsk":
    case "fillOffer":
    case "fillRead":
    case "fillData":
    case "pieceAsk":
    case "pieceGiven":
      return turn.disconnect(link);
  }
}

function welcome(
  turn: Turn,
  role: Live,
  { state }: KnownState,
  link: number,
  hello: Frame<"hello">,
): void {
  const { log, member } = turn;
  const { epoch } = role;
  if (hello.epoch < epoch) {
    return turn.send(link, { kind: "refuse", epoch, reason: "older-epoch" });
  }
  const position = agreedPosition(log, hello);
  const isTwice = role.peers.some((peer) => peer.link === link);
  if (hello.epoch > epoch || isTwice) return turn.disconnect(link);
  if (position < log.oldestPosition) {
    return turn.send(link, { kind: "refuse", epoch, reason: "too-far-behind" });
  }
  const chain = log.chainAt(position);
  if (chain === null) return turn.disconnect(link);
  // It has called anew, and its older link is not known to be gone.
  for (const peer of role.peers) if (peer.id === hello.id) turn.disconnect(peer.link);
  const { role: current } = turn.member;
  if (current.kind !== "live") return;
  const { id, incarnation } = hello;
  const peer = { link, id, incarnation, alignedAt: position, acknowledged: null };
  // It confirmed more than it has: it is no member in sync until it has everything again.
  const isShort = position < member.commitPosition && has(state.inSync, id);
  const dropping = isShort ? [...current.dropping, id].toSorted() : current.dropping;
  turn.become({ ...current, peers: [...current.peers, peer], dropping });
  const { commitPosition } = member;
  const { features } = state;
  turn.send(link, { kind: "align", epoch, features, position, chain, commitPosition });
}

function noteAcknowledged(
  turn: Turn,
  role: Live,
  link: number,
  { epoch, position }: Frame<"acknowledge">,
): void {
  const peer = role.peers.find((one) => one.link === link);
  if (peer === undefined || epoch !== role.epoch) return;
  if (position > turn.log.end) return turn.disconnect(link);
  const acknowledged = Math.max(peer.acknowledged ?? 0, position);
  const peers = role.peers.map((one) => (one === peer ? { ...one, acknowledged } : one));
  turn.become({ ...role, peers });
  if (peer.acknowledged === null) turn.want({ kind: "ship", link, from: peer.alignedAt });
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

function reconfigure(turn: Turn, role: Live, { state }: KnownState): void {
  const wanted = wantedSet(turn.member, role, state.inSync);
  // A set that may yet be put in force is settled by any write of this version.
  if (wanted === null && role.asked.length === 0) return;
  const inSync = wanted ?? state.inSync;
  // What failed is asked for again and again: the same set counts once.
  const isAsked = role.asked.some((set) => isSameSet(set, inSync));
  if (!isAsked) turn.become({ ...role, asked: [...role.asked, inSync] });
  request(turn, "reconfigure", { ...state, inSync });
}

/** The in-sync set that should be instead of the one that is; null where it is right. One member at a time. */
function wantedSet(
  { commitPosition }: Member,
  role: Live,
  inSync: readonly Replica[],
): readonly Replica[] | null {
  const reborn = role.peers.find((peer) => has(inSync, peer.id) && !includesReplica(inSync, peer));
  const gone = role.dropping.find((id) => has(inSync, id)) ?? reborn?.id;
  if (gone !== undefined) return inSync.filter(({ id }) => id !== gone);
  const joiner = role.peers.find(({ id, acknowledged }) => {
    if (has(inSync, id) || role.held.includes(id)) return false;
    // The beginning of this epoch lies behind all that earlier ones committed: who has it lacks nothing of them. The
    // commit position alone would not do, for a new live may not have heard of all that is committed.
    return (acknowledged ?? 0) > Math.max(role.epochStart, commitPosition - 1);
  });
  if (joiner === undefined || inSync.length >= limits.inSyncCountMax) return null;
  return [...inSync, { id: joiner.id, incarnation: joiner.incarnation }];
}

/** Invites who is to lead, when it has everything. */
function invite(turn: Turn, { handOver, peers, epoch }: Live): void {
  if (handOver === null || handOver.invited !== null) return;
  if (turn.member.commitPosition < turn.log.end) return;
  const { to } = handOver;
  const link = peers.find(({ id, acknowledged }) => id === to && acknowledged !== null)?.link;
  const { role } = turn.member;
  if (link === undefined || role.kind !== "live") return;
  turn.become({ ...role, handOver: { to, invited: link } });
  turn.send(link, { kind: "handOver", epoch });
}

function isSameSet(one: readonly Replica[], other: readonly Replica[]): boolean {
  return one.length === other.length && one.every((replica) => includesReplica(other, replica));
}

function has(replicas: readonly Replica[], id: string): boolean {
  return replicas.some((one) => one.id === id);
}
