import type { ServerConnection } from "../connection/server-connection.ts";

/** How far a client has come over all its connections. */
export class Progress {
  /** The last transaction that a server was known to have applied: no server that is behind it will do. */
  lastZxid = 0n;
  /** The same, by the end of the last connection on which all watches stood. */
  watchedZxid = 0n;
  /** When the newest thing was sent that a server has answered: then, at the earliest, it heard of the session last. */
  touchedAtMs = 0;
  /** When a server was heard last. */
  heardAtMs = 0;

  /** A connection is gone. */
  note({ lastZxid, touchedAtMs, heardAtMs }: ServerConnection): void {
    if (lastZxid > this.lastZxid) this.lastZxid = lastZxid;
    this.touchedAtMs = Math.max(this.touchedAtMs, touchedAtMs);
    this.heardAtMs = Math.max(this.heardAtMs, heardAtMs);
  }

  /** What was seen does not count any more. */
  forgetZxids(): void {
    this.lastZxid = 0n;
    this.watchedZxid = 0n;
  }
}
