import type { Frame } from "@everhold/group";

/**
 * What connects a member to the others: each link is authenticated, keeps the order of frames, and loses none before it
 * is gone. A backup calls its live; whoever runs accepts.
 */
export interface Links {
  /** Keeps a link to this member up, calling it again and again; to no other. `null`: calls nobody. */
  follow(id: string | null): void;
  /**
   * Sends after all that was sent before on this link; harmless on one that is gone. The bytes of an `append` are copied
   * before this returns. @throws RangeError for a frame with a value that does not fit; nothing of it is sent
   */
  send(link: number, frame: Frame): void;
  /**
   * Bytes sent on this link that the system has not taken yet, 0 on one that is gone: who ships reads no further from
   * `shipWindowBytes` on.
   */
  queuedBytes(link: number): number;
  /** Ends a link and drops what is queued; no frame is told any more, and `onDisconnected` follows. */
  disconnect(link: number): void;
  /** Stops accepting, ends every link, and waits until each has ended. Idempotent. */
  close(): Promise<void>;
}

/** Who is told of links. Calls never happen inside a call of {@link Links}; `link` numbers are never used again. */
export interface LinksListener {
  /**
   * A link to or from a member that has proved that it knows the group's secret. The secret is all members' alike: the
   * name is what one who knows it says. `outgoing`: it is who is followed, and was called.
   */
  onConnected(link: number, id: string, outgoing: boolean): void;
  /** The frame's bytes are valid during the call only. */
  onFrame(link: number, frame: Frame): void;
  /** `queuedBytes` is below `shipWindowBytes` again after it was not. */
  onDrained(link: number): void;
  onDisconnected(link: number): void;
  /**
   * Who is followed cannot be reached. `refused`: its machine answers and nobody listens there, so that its process is
   * probably gone; `silent`: anything else. A hint, told once for each attempt.
   */
  onUnreachable(id: string, why: "refused" | "silent"): void;
}
