import type { Hash, MonotonicClock, Ports, Random } from "@everhold/env";
import type { Coordinator, Member } from "@everhold/group";
import type { ReplicatedLog } from "@everhold/journal";
import { earlyDisk } from "../../mutations/early-disk.ts";
import { lyingLinks, type Hear } from "./lying-links.ts";

/**
 * Mistakes that members can be told to make, to show that they are found. Each is made by lying to a member through its
 * ports or its coordinator, so no production code knows of them.
 */
export const groupMistakes = [
  /** Disks are said to be done before they are. */
  "early-disks",
  /** The group's node is written whatever it says by then. */
  "overwrite-state",
  /** The clocks of all members but the last are so slow that their leases outlast their time. */
  "slow-clock",
  /** A live is told that the set is smaller before ZooKeeper has made it so. */
  "release-before-shrink",
  /** What a candidate promises beyond the node's epoch is not on its disk; `npm run crash-points` finds it. */
  "promote-without-fence",
  /** A disk that was lost comes back empty under its old incarnation. */
  "stale-incarnation",
  /** A backup is cut to what it knows to be committed. */
  "truncate-to-commit",
  /** What has come to a backup counts as acknowledged, stored or not. */
  "trust-heartbeat",
] as const;

/** One of {@link groupMistakes}. */
export type GroupMistake = (typeof groupMistakes)[number];

/** Who makes a mistake. */
export interface Mistaken {
  readonly mistake: GroupMistake | undefined;
  /** Of the group's members. */
  readonly isLast: boolean;
  /** What its process is; undefined before it has started. */
  readonly now: () => { readonly member: Member; readonly log: ReplicatedLog } | undefined;
  /** The incarnation of the disk that it lost just before this start, in hexadecimal. */
  readonly lostIncarnation: string | undefined;
}

/** The ports of a member that makes the mistake. */
export function mistakenPorts(ports: Ports, mistaken: Mistaken): Ports {
  const { isLast, lostIncarnation } = mistaken;
  switch (mistaken.mistake) {
    case "early-disks":
      return { ...ports, disk: earlyDisk(ports.disk, ports.timers) };
    case "slow-clock":
      return isLast ? ports : { ...ports, monotonicClock: slowClock(ports.monotonicClock) };
    case "promote-without-fence":
      return { ...ports, hash: forgettingHash(ports.hash, mistaken) };
    case "stale-incarnation":
      if (lostIncarnation === undefined) return ports;
      return { ...ports, random: repeatingRandom(ports.random, lostIncarnation) };
    case "truncate-to-commit":
      return { ...ports, network: lyingLinks(ports.network, cutsToCommit(mistaken)) };
    case "trust-heartbeat":
      return { ...ports, network: lyingLinks(ports.network, acknowledgesAtOnce) };
    case undefined:
    case "overwrite-state":
    case "release-before-shrink":
      return ports;
  }
}

/** What settles who leads, for a member that makes the mistake. */
export function mistakenCoordinator(coordinator: Coordinator, mistaken: Mistaken): Coordinator {
  const request = mistakenRequest(coordinator, mistaken);
  if (request === undefined) return coordinator;
  return {
    read: () => coordinator.read(),
    create: (state) => coordinator.create(state),
    register: (address) => coordinator.register(address),
    close: () => coordinator.close(),
    request,
  };
}

function mistakenRequest(
  coordinator: Coordinator,
  { mistake, now }: Mistaken,
): Coordinator["request"] | undefined {
  if (mistake === "overwrite-state") {
    return async (kind, next) => {
      const read = await coordinator.read();
      if (read.kind !== "state") return coordinator.request(kind, next);
      const { created, version } = read.known;
      return coordinator.request(kind, { ...next, created, version });
    };
  }
  if (mistake !== "release-before-shrink") return undefined;
  return async (kind, next) => {
    const requested = coordinator.request(kind, next);
    const before = now()?.member.known?.state.inSync.length ?? 0;
    return kind === "reconfigure" && next.state.inSync.length < before ? "done" : requested;
  };
}

function slowClock(clock: MonotonicClock): MonotonicClock {
  const startMs = clock.nowMs();
  return { nowMs: () => startMs + (clock.nowMs() - startMs) / 8 };
}

/** The member's fence: its first bytes, where the promise is, and where its checksum, which covers all before it. */
const fence = { mark: "EVHFNCE\n", promisedEpochAt: 48, crcAt: 508 };

/** The checksum is asked for when the fence is written, and changed just before. */
function forgettingHash(hash: Hash, { now }: Mistaken): Hash {
  return {
    crc32(bytes, seed) {
      const isFence =
        bytes.length === fence.crcAt &&
        String.fromCharCode(...bytes.subarray(0, fence.mark.length)) === fence.mark;
      const nodeEpoch = now()?.member.known?.state.epoch;
      if (isFence && nodeEpoch !== undefined) {
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
        const promised = view.getUint32(fence.promisedEpochAt);
        view.setUint32(fence.promisedEpochAt, Math.min(promised, nodeEpoch));
      }
      return hash.crc32(bytes, seed);
    },
  };
}

/** The first 16 bytes that are asked for on an empty disk name it. */
function repeatingRandom(random: Random, incarnation: string): Random {
  let left: string | undefined = incarnation;
  return {
    uint32: () => random.uint32(),
    fill(target) {
      random.fill(target);
      if (left === undefined || target.length * 2 !== left.length) return;
      target.set(Uint8Array.from(left.match(/../g) ?? [], (hex) => Number.parseInt(hex, 16)));
      left = undefined;
    },
  };
}

function cutsToCommit({ now }: Mistaken): Hear {
  return (frame) => {
    const { member, log } = now() ?? {};
    if (frame.kind !== "align" || member === undefined || log === undefined) return frame;
    const position = Math.min(frame.position, member.commitPosition);
    const chain = log.chainAt(position);
    return chain === null ? frame : { ...frame, position, chain };
  };
}

const acknowledgesAtOnce: Hear = (frame, say) => {
  const { kind, epoch } = frame;
  if (kind === "append") say({ kind: "acknowledge", epoch, position: frame.end });
  return frame;
};
