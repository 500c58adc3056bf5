import type { Grant, NodeCache, ZooKeeper } from "@everhold/zookeeper-core";
import { ops } from "@everhold/zookeeper-core";
import type { Claim } from "./holdings.ts";
import type { KeeperLife } from "./keeper-life.ts";

/** Mistakes that a client could have. Each is made around it, in what it hears or says, so no production code knows of them. */
export const clientMistakes = [
  /** What is granted is held for as long as a server answers. */
  "hold-on-pongs",
  /** A renewal is counted from its answer, not from what the leader had heard of when it was sent. */
  "count-from-answer",
  /** Whether something is held says the last event, not the clock. */
  "hold-by-flag",
  /** A create whose answer is lost is taken for one that was not done. */
  "repeat-creates",
  /** Watches that tell once are not had again after a reconnect. */
  "forget-one-shots",
  /** Nobody is told that another session has begun. */
  "hush-sessions",
  /** A cache says that it has all that its client has seen. */
  "hasty-generation",
] as const;

/** One of {@link clientMistakes}. */
export type ClientMistake = (typeof clientMistakes)[number];

/** What somebody with the mistake takes for held. */
export function claimOf(life: KeeperLife, client: ZooKeeper, grant: Grant): Claim {
  const { token, epoch, signal } = grant;
  switch (life.settings.mistake) {
    case "hold-on-pongs":
      return {
        token,
        isHeld: () => !isReleased(grant) && client.state === "connected" && client.epoch === epoch,
      };
    case "hold-by-flag":
      return { token, isHeld: () => !signal.aborted };
    case "count-from-answer":
      return countingFromAnswers(life, client, grant);
    default:
      return grant;
  }
}

/** Up to which transaction a cache of a client with the mistake says that it shows everything. */
export function generationOf({ settings, view }: KeeperLife, cache: NodeCache): bigint {
  const { generation } = cache;
  const isHasty = settings.mistake === "hasty-generation" && view.seenZxid > generation;
  return isHasty ? view.seenZxid : generation;
}

/** The last thing that happens to a grant, whatever becomes of the session. */
function isReleased({ signal }: Grant): boolean {
  const reason: unknown = signal.reason;
  return reason instanceof Error && "code" in reason && reason.code === "EVH_CLOSED";
}

/** Short, so that an answer is due at most moments at which something goes wrong. */
const renewalPauseMs = 10;

/** A lease of its own beside that of the grant. */
function countingFromAnswers(life: KeeperLife, client: ZooKeeper, grant: Grant): Claim {
  const { monotonicClock } = life.ports;
  const { sessionTimeoutMs } = life.settings;
  const heldMs = sessionTimeoutMs * 0.95;
  let endMs = monotonicClock.nowMs() + heldMs;
  let isOver = false;
  const claim: Claim = {
    token: grant.token,
    isHeld: () => {
      isOver ||= isReleased(grant) || monotonicClock.nowMs() >= endMs;
      return !isOver;
    },
  };
  const renew = async (): Promise<void> => {
    while (claim.isHeld() && client.state !== "closed") {
      await client.multi([ops.check(grant.path)], { timeout: sessionTimeoutMs });
      endMs = monotonicClock.nowMs() + heldMs;
      await life.sleep(renewalPauseMs);
    }
  };
  renew().catch((error: unknown) => life.expect(error));
  return claim;
}
