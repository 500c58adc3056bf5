import { ClosedError, deferred, EverholdError, listenForAbort } from "@everhold/base";
import {
  Backoff,
  checkTimeout,
  deadlineIn,
  onWaitEnd,
  pause,
  type WaitOptions,
} from "@everhold/env";
import { bytesOfData, checkAcl, checkPath, optionError } from "../../api/request-options.ts";
import type { NodeData } from "../../api/request-options.ts";
import { type BoundSession, type ReadOptions, ZooKeeper } from "../../api/zookeeper.ts";
import type { LeaseTiming } from "../../lease/lease.ts";
import type { Acl } from "../../protocol/acl.ts";
import { contentionLimits } from "./contention-limits.ts";
import { Grant } from "./grant.ts";
import { watchOwnNode } from "./own-node.ts";
import { readParticipants, type Participant } from "./participants.ts";
import { type Contender, leaveLine, type LineParts, standInLine } from "./standing.ts";
import { Wakers } from "./wakers.ts";

/** How to contend. */
export interface ContentionOptions extends LeaseTiming {
  /** What the node of whoever contends holds, for others to see who it is. Default: no bytes. */
  readonly data?: NodeData;
  /** Who may do what with the nodes. Default: everybody everything. */
  readonly acl?: readonly Acl[];
  /**
   * What becomes of a wait when the session is over: `again` waits at the end of the line, in the next session, `reject`
   * rejects with EVH_SESSION_EXPIRED, which the client of one session, as `inSession` gives it, does in either case.
   * Default `again`.
   */
  readonly onSessionLost?: "again" | "reject";
}

/** What is contended for, for the words of errors, and by what nodes. */
export interface ContentionPurpose {
  /** As in "Cannot <attempt>". */
  readonly attempt: string;
  /** What the names of nodes have before their numbers; where two have the same, the first of these goes first. */
  readonly kinds: readonly string[];
}

/**
 * The line at one path: whoever contends is an ephemeral sequential node below it, and has its turn when a rule says
 * so. Everybody waits for one other, as a rule for the one before, so that one who leaves wakes one. The way there is
 * made of containers, and made again where somebody deletes it.
 *
 * Names carry a random id, as Curator's protection does, so a node whose creation got no answer is found, and stands
 * for whoever has asked for it, or goes.
 */
export class Contention {
  readonly path: string;
  readonly #client: ZooKeeper;
  readonly #line: LineParts;
  readonly #attempt: string;
  readonly #onSessionLost: "again" | "reject";

  /** @throws ZooKeeperError EVH_PATH; EverholdError EVH_CONFIG; TypeError */
  constructor(
    client: ZooKeeper,
    path: string,
    { attempt, kinds }: ContentionPurpose,
    options: ContentionOptions = {},
  ) {
    const { data = "", acl, onSessionLost = "again", tickTime, renewInterval } = options;
    checkPath(attempt, path);
    if (acl !== undefined) checkAcl(attempt, acl);
    if (onSessionLost !== "again" && onSessionLost !== "reject") {
      throw optionError(attempt, "onSessionLost", onSessionLost, '"again" or "reject"');
    }
    const timing = {
      ...(tickTime === undefined ? {} : { tickTime }),
      ...(renewInterval === undefined ? {} : { renewInterval }),
    };
    this.path = path;
    this.#client = client;
    this.#attempt = attempt;
    this.#onSessionLost = onSessionLost;
    const bytes = bytesOfData(attempt, data);
    this.#line = { path, kinds, data: bytes, acl, timing, wakers: new Wakers() };
  }

  /**
   * Waits for a turn; no time limit by default. Whoever gives up leaves the line, in the background where no server
   * answers.
   *
   * @throws EverholdError EVH_TIMEOUT, EVH_ABORTED, EVH_CLOSED, EVH_SESSION_EXPIRED as `onSessionLost` says, EVH_CONFIG
   * where the session timeout leaves no time for a lease; ZooKeeperError with reason NOAUTH, …
   */
  async enter(contender: Contender, wait: WaitOptions = {}): Promise<Grant> {
    const { ports, epoch, closed } = ZooKeeper.callerOf(this.#client).context;
    // A client of one session has no next one.
    const isOnce = this.#onSessionLost === "reject" || epoch !== undefined;
    const { pauseMsMin: minMs, pauseMsMax: maxMs } = contentionLimits;
    const backoff = new Backoff({ minMs, maxMs }, ports.random);
    const deadlineMs = deadlineIn(ports, checkTimeout(wait.timeout, Infinity));
    const subject = { attempt: this.#attempt, outcome: () => "none" as const };
    const ending = new AbortController();
    const limits = { deadlineMs, signal: wait.signal };
    const end = (error: EverholdError): void => ending.abort(error);
    const forgets = [
      onWaitEnd(ports, limits, subject, end),
      listenForAbort(closed, () =>
        end(new ClosedError("EVH_CLOSED", `Cannot ${this.#attempt}: the client is closed`)),
      ),
    ];
    try {
      for (;;) {
        if (ending.signal.aborted) throw ending.signal.reason;
        try {
          return await this.#enterInSession(contender, ending.signal);
        } catch (error) {
          if (isOnce || !EverholdError.is(error, "EVH_SESSION_EXPIRED")) throw error;
        }
        await pause(ports, backoff.nextMs(), ending.signal);
      }
    } catch (error) {
      throw ending.signal.aborted ? ending.signal.reason : error;
    } finally {
      for (const forget of forgets) forget();
    }
  }

  /** Who stands in line, the first one first. */
  participants(options: ReadOptions = {}): Promise<readonly Participant[]> {
    return readParticipants(this.#client, this.#line, options);
  }

  /** Everybody who waits here asks the rule again, because it says something else now. */
  lookAgain(): void {
    this.#line.wakers.wakeAll();
  }

  #enterInSession(contender: Contender, ended: AbortSignal): Promise<Grant> {
    const granted = deferred<Grant>();
    const work = async (bound: BoundSession): Promise<void> => {
      const { node, lease } = await standInLine(this.#line, contender, bound, ended);
      const released = deferred<void>();
      const { epoch, signal, client } = bound;
      const release = async (wait: WaitOptions): Promise<void> => {
        lease.close();
        try {
          await leaveLine(client, node, wait);
        } finally {
          released.resolve();
        }
      };
      const { path, stat } = node;
      const token = contender.beside?.token ?? stat.czxid;
      const grant = new Grant({ path, token, epoch, lease, release });
      granted.resolve(grant);
      const watching = watchOwnNode(client, path, grant.signal, lease);
      // The session's signal, and so the lease, live as long as this.
      const forget = signal.aborted ? undefined : listenForAbort(signal, () => released.resolve());
      if (forget !== undefined) await released.promise;
      forget?.();
      await watching;
    };
    // What it rejects with when something was granted, that the session is over, the grant's own signal tells.
    this.#client
      .inSession(work, { signal: ended, timeout: Infinity })
      .catch((error: unknown) => granted.reject(error));
    return granted.promise;
  }
}
