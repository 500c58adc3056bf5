import type { Link } from "@everhold/env";
import type { Connection } from "@everhold/client";
import { ByteReader, decodePacket, frameHeaderBytes, packets } from "@everhold/wire";
import type { PassingFrame } from "../network/watching-network.ts";

/** How often what brings clients back over a break was used. */
export interface ReturnCounts {
  /** Failovers that were completed, as their clients tell. */
  failovers: number;
  /** Sessions that the broker had kept, and those that it had not. */
  reattachments: number;
  reattachmentsRefused: number;
  /** RESUMEs of a session that follows another one; and those of them that asked for a commit in doubt. */
  resumes: number;
  commitsResumed: number;
  /** Commits that had a number. */
  commitsNumbered: number;
  /** OUTCOME_QUERYs. */
  outcomesAsked: number;
  /** Doubts that were over after somebody had asked. */
  doubtsResolved: number;
  /** PACKETS_CONFIRMED, either way. */
  confirmations: number;
  /** Sends in failovers: sent again, found to be safe, and lost from sight. */
  sendsReplayed: number;
  sendsSuppressed: number;
  sendsInDoubt: number;
}

/** Something at which a fault may strike: a session comes back, a commit or a send arrives at the broker. */
export type Moment = "return" | "commit" | "send";

/** The version in which our clients speak. */
const version = 136;

/** Looks on as clients come back after a break, and counts. */
export class Returns {
  /** Told once of the connection on which the next of these happens. */
  readonly onNext: { [Key in Moment]?: ((link: Link) => void) | undefined } = {};
  readonly counts: ReturnCounts = {
    failovers: 0,
    reattachments: 0,
    reattachmentsRefused: 0,
    resumes: 0,
    commitsResumed: 0,
    commitsNumbered: 0,
    outcomesAsked: 0,
    doubtsResolved: 0,
    confirmations: 0,
    sendsReplayed: 0,
    sendsSuppressed: 0,
    sendsInDoubt: 0,
  };

  /** Counts what a client tells of its failovers. */
  follow(connection: Connection): void {
    connection.on("failover", ({ result, timeline }) => {
      if (result === "completed") this.counts.failovers += 1;
      this.counts.sendsReplayed += timeline.sendsReplayed;
      this.counts.sendsSuppressed += timeline.sendsSuppressed;
      this.counts.sendsInDoubt += timeline.sendsInDoubt;
    });
  }

  /** A frame passes the broker's network. */
  onFrame({ name, bytes, view, start, end, link }: PassingFrame): void {
    const { counts } = this;
    switch (name) {
      case packets.packetsConfirmed.name:
        counts.confirmations += 1;
        return;
      case packets.commitAs.name:
        counts.commitsNumbered += 1;
        this.#tell("commit", link);
        return;
      case packets.send.name:
        this.#tell("send", link);
        return;
      case packets.outcomeQuery.name:
        counts.outcomesAsked += 1;
        return;
      case packets.reattachSession.name:
        this.#tell("return", link);
        return;
      case packets.reattachSessionResponse.name:
        // The answer stands behind a number of four bytes.
        if (view.getUint8(start + frameHeaderBytes + 4) === 0) counts.reattachmentsRefused += 1;
        else counts.reattachments += 1;
        return;
      case packets.resume.name: {
        const body = new ByteReader(bytes.subarray(start + frameHeaderBytes, end));
        const { oldSession, hasCommit } = decodePacket(packets.resume, body, version);
        if (oldSession === "") return;
        counts.resumes += 1;
        if (hasCommit) counts.commitsResumed += 1;
        this.#tell("return", link);
        return;
      }
      default:
    }
  }

  /** Nobody waits for a moment any more. */
  disarm(): void {
    this.onNext.return = undefined;
    this.onNext.commit = undefined;
    this.onNext.send = undefined;
  }

  #tell(moment: Moment, link: Link): void {
    const tell = this.onNext[moment];
    if (tell === undefined) return;
    this.onNext[moment] = undefined;
    tell(link);
  }
}
