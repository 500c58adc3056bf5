import { EverholdError } from "@everhold/base";
import { Caller } from "../api/caller.ts";
import {
  bytesOfData,
  checkAcl,
  type NodeData,
  optionError,
  type RequestOptions,
} from "../api/request-options.ts";
import type { RetryContext } from "../api/retry-loop.ts";
import type { Acl } from "../protocol/acl.ts";
import type { Requests } from "../session/request.ts";
import type { Restoring } from "../session/session-hooks.ts";
import type { Session } from "../session/session.ts";
import { HeldNode } from "./held-node.ts";
import { managedLimits } from "./managed-limits.ts";
import type { NodeOwner } from "./put-in-place.ts";

/** How to hold a node. */
export interface HoldOptions extends Pick<RequestOptions, "timeout" | "signal"> {
  /** Who may do what with the node. Default: everybody everything. */
  readonly acl?: readonly Acl[];
  /** Whether to create what is missing above it, as `create` does. Default false. */
  readonly parents?: boolean | "container";
  /**
   * What the first attempt does where somebody else has a node there: `fail` rejects with NODEEXISTS, `wait` waits for
   * it to go. Later on it is waited for in either case. Default `fail`.
   */
  readonly conflict?: "fail" | "wait";
}

/** The held nodes of one client. */
export class HeldNodes {
  readonly #session: Session;
  /** By their paths on the server. */
  readonly #nodes = new Map<string, { readonly held: HeldNode; readonly caller: Caller }>();
  readonly #sessionIds: bigint[] = [];

  constructor(session: Session) {
    this.#session = session;
    session.listen((event) => {
      if (event.type === "connected" || event.type === "reconnected") this.#note(event.sessionId);
      for (const { held } of [...this.#nodes.values()]) {
        if (event.type === "lost") held.onSessionLost();
        if (event.type === "closed") held.onClosed();
      }
    });
  }

  /** Begins to hold a node; resolves when it is there. */
  async hold(
    caller: Caller,
    node: { readonly path: string; readonly data: NodeData; readonly options: HoldOptions },
    wait: Parameters<HeldNode["begin"]>[0],
  ): Promise<HeldNode> {
    const { path, data, options } = node;
    const { acl, parents = false, conflict = "fail" } = options;
    const attempt = "hold";
    const serverPath = caller.serverPath(attempt, path);
    if (acl !== undefined) checkAcl(attempt, acl);
    if (conflict !== "fail" && conflict !== "wait") {
      throw optionError(attempt, "conflict", conflict, '"fail" or "wait"');
    }
    // One that is about to go would otherwise take the new one along.
    await this.whenLetGo(serverPath, wait);
    if (this.#nodes.has(serverPath)) {
      throw new EverholdError(
        "EVH_ILLEGAL_STATE",
        `Cannot hold ${path}: this client holds it already`,
      );
    }
    const held: HeldNode = new HeldNode(
      {
        ports: caller.context.ports,
        closed: caller.context.closed,
        callerIn: (epoch) => callerOver(caller, this.#session, { epoch }),
        session: () => this.#current(),
        failsInConflict: conflict === "fail",
        onError: (error) => this.#session.reportError(error),
        onReleased: () => void this.#nodes.delete(serverPath),
      },
      { path, data: bytesOfData(attempt, data), acl, parents },
    );
    this.#nodes.set(serverPath, { held, caller });
    try {
      await held.begin(wait);
      return held;
    } catch (error) {
      // It may be there all the same, and is not to be made later.
      held.release().catch(() => undefined);
      throw error;
    }
  }

  /** When no node of this path on the server is about to go. */
  async whenLetGo(serverPath: string, wait: Parameters<HeldNode["begin"]>[0]): Promise<void> {
    for (let before = this.#nodes.get(serverPath); before?.held.isReleased === true;) {
      await before.held.whenReleased(wait);
      before = this.#nodes.get(serverPath);
    }
  }

  /**
   * Puts all in place in a new session, by a connection that is not ready for anything else yet, in the order in which
   * they were first held. What fails here is tried again by itself.
   */
  async restore({ requests, epoch }: Restoring): Promise<RestoredNodes> {
    const held: string[] = [];
    const conflicts: string[] = [];
    const session = { epoch, ...this.#owner() };
    const waiting = [...this.#nodes.entries()];
    while (waiting.length > 0) {
      const some = waiting.splice(0, managedLimits.restoredAtOnceMax);
      const placing = some.map(async ([serverPath, { held: node, caller }]) => {
        if (node.isReleased) return;
        try {
          const over = callerOver(caller, requests, { retry: false });
          const { state } = await node.placeIn(over, session);
          (state === "held" ? held : conflicts).push(serverPath);
        } catch {
          // The connection broke, or this node alone can't be made: it knows that it is missing, and goes on.
        }
      });
      await Promise.all(placing);
    }
    return { held, conflicts };
  }

  async #current(): Promise<NodeOwner & { readonly epoch: number }> {
    // Whoever was told that it is ready may have lost it again before we get to know.
    do await this.#session.ready({ deadlineMs: Infinity });
    while (this.#session.state !== "connected");
    return { epoch: this.#session.epoch, ...this.#owner() };
  }

  #owner(): NodeOwner {
    const { sessionId } = this.#session;
    const formerSessionIds = new Set(this.#sessionIds.filter((one) => one !== sessionId));
    return { sessionId, formerSessionIds };
  }

  #note(sessionId: bigint): void {
    if (this.#sessionIds.at(-1) === sessionId) return;
    this.#sessionIds.push(sessionId);
    if (this.#sessionIds.length > managedLimits.formerSessionCountMax) this.#sessionIds.shift();
  }
}

/** The nodes of a new session, by their paths on the server. */
export interface RestoredNodes {
  readonly held: readonly string[];
  /** Where somebody else has a node. */
  readonly conflicts: readonly string[];
}

/** The same calls by other means. */
function callerOver(caller: Caller, requests: Requests, other: Partial<RetryContext>): Caller {
  return new Caller(requests, { ...caller.context, ...other }, caller.prefix);
}
