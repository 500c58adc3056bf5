import type { Ports } from "@everhold/env";
import type { KnownState, NodeVersion } from "@everhold/group";
import { limits } from "../limits.ts";
import type { MemberJournal } from "./member-journal.ts";

/**
 * What a member has seen of the group's node, kept on its disk: so that a node that somebody restored from a backup is told
 * from the true one, also after a restart and within one epoch.
 */
export class NodeMemory {
  readonly #ports: Pick<Ports, "log">;
  readonly #journal: Pick<MemberJournal, "seenNode" | "rememberNode">;
  /** What the disk is to remember next, and when. */
  #next: { readonly known: KnownState; readonly atMs: number } | undefined;
  #isWriting = false;
  #doubtedSinceMs: number | undefined;

  constructor(
    ports: Pick<Ports, "log">,
    journal: Pick<MemberJournal, "seenNode" | "rememberNode">,
  ) {
    this.#ports = ports;
    this.#journal = journal;
  }

  /** The newest that was seen of the node, by this driver or by those before it on this disk. */
  newest(known: KnownState | null): NodeVersion | null {
    return known ?? this.#journal.seenNode;
  }

  /**
   * Whether what was read is to be read again before anything is decided by it, for it contradicts what was seen. A server that
   * was the leader until a moment ago, and does not know yet that it is not, may tell what was true then.
   */
  doubts(found: NodeVersion, since: NodeVersion | null, nowMs: number): boolean {
    const isPossible =
      since === null || (found.created === since.created && found.version >= since.version);
    if (isPossible) {
      this.#doubtedSinceMs = undefined;
      return false;
    }
    if (this.#doubtedSinceMs === undefined) {
      this.#doubtedSinceMs = nowMs;
      const { created, version } = found;
      this.#ports.log.error(
        "The group's node is not what this member has seen it to be: it is read again before anything is decided by it",
        { created, version, seenCreated: since.created, seenVersion: since.version },
      );
    }
    return nowMs - this.#doubtedSinceMs < limits.nodeDoubtMs;
  }

  /**
   * Makes durable what is known, a while after it was news: a promise of an epoch does not have to wait for it. Where the disk has
   * no room it is tried again.
   */
  look(known: KnownState | null, nowMs: number): void {
    if (known === null || this.#isWriting) return;
    if (known !== this.#next?.known) {
      this.#next = { known, atMs: nowMs + limits.nodeRememberedAfterMs };
    }
    const { seenNode } = this.#journal;
    const isRemembered = seenNode?.created === known.created && seenNode.version === known.version;
    if (isRemembered || nowMs < this.#next.atMs) return;
    this.#isWriting = true;
    const end = (): void => {
      this.#isWriting = false;
    };
    // What is no lack of room has failed the journal, which tells.
    this.#journal.rememberNode(known).then(end, end);
  }
}
