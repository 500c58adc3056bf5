import { RepeatedLine } from "@everhold/base";
import type { LogFields } from "@everhold/env";

import type { Engine } from "../engine/engine.ts";
import { limits } from "../limits.ts";
import type { CoreConnection } from "./core-connection.ts";

/**
 * Connections that broke and whose sessions wait for their clients to come back, each until its time is
 * over. Their sessions are bounded in number: those of the connection that broke first end for others.
 */
export class Parking {
  readonly #engine: Engine;
  /** In the order in which they broke, each with its last moment and how many sessions it has left. */
  readonly #parked = new Map<CoreConnection, { untilMs: number; sessionCount: number }>();
  readonly #broken: RepeatedLine;
  readonly #missing: RepeatedLine;
  readonly #resumed: RepeatedLine;
  readonly #refused: RepeatedLine;
  #sessionCount = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
    const { log } = engine;
    // A client that loses its connection is nothing to worry about; one that does not come back may be.
    const info = { warn: log.info.bind(log) };
    const burst = limits.parkedLinesBurst;
    this.#broken = new RepeatedLine(
      info,
      "A connection broke; its sessions wait for their client",
      burst,
    );
    this.#resumed = new RepeatedLine(info, "A session goes on with another connection", burst);
    this.#refused = new RepeatedLine(
      info,
      "A client came back for a session that cannot be resumed",
      burst,
    );
    this.#missing = new RepeatedLine(
      log,
      "A client did not come back; its sessions have failed",
      burst,
    );
  }

  /** Sessions that wait. */
  get sessionCount(): number {
    return this.#sessionCount;
  }

  connections(): Iterable<CoreConnection> {
    return this.#parked.keys();
  }

  /** The sessions of a connection wait from now on, for `forMs` at most. */
  add(connection: CoreConnection, sessionCount: number, nowMs: number, forMs: number): void {
    this.#parked.set(connection, { untilMs: nowMs + forMs, sessionCount });
    this.#sessionCount += sessionCount;
    this.#broken.note(nowMs, { peer: connection.peer, sessions: sessionCount, forMs });
    while (this.#sessionCount > this.#engine.config.parkedSessionsMax) this.#giveUpFirst(nowMs);
  }

  /** One session of it goes on elsewhere. */
  leave(connection: CoreConnection): void {
    const entry = this.#parked.get(connection);
    if (entry === undefined) return;
    entry.sessionCount -= 1;
    this.#sessionCount -= 1;
  }

  /** It does not wait any more. */
  remove(connection: CoreConnection): void {
    const entry = this.#parked.get(connection);
    if (entry === undefined) return;
    this.#parked.delete(connection);
    this.#sessionCount -= entry.sessionCount;
  }

  /** Tells of a session that goes on. */
  noteResumed(nowMs: number, fields: LogFields): void {
    this.#resumed.note(nowMs, fields);
  }

  /** Tells of a session that ends because it cannot go on. */
  noteRefused(nowMs: number, fields: LogFields): void {
    this.#refused.note(nowMs, fields);
  }

  /** Gives up those whose time is over. Called every now and then. */
  check(nowMs: number): void {
    for (const [connection, { untilMs }] of this.#parked) {
      if (nowMs >= untilMs) this.#giveUp(connection, nowMs, "its time is over");
    }
    this.#broken.flush(nowMs);
    this.#missing.flush(nowMs);
    this.#resumed.flush(nowMs);
    this.#refused.flush(nowMs);
  }

  /** Gives up all: the broker stops. What they hold is no failed attempt, for their clients may come back. */
  clear(): void {
    for (const connection of [...this.#parked.keys()]) connection.abandon(false);
  }

  #giveUpFirst(nowMs: number): void {
    for (const connection of this.#parked.keys()) {
      this.#giveUp(connection, nowMs, "too many sessions wait");
      return;
    }
  }

  #giveUp(connection: CoreConnection, nowMs: number, reason: string): void {
    const sessions = this.#parked.get(connection)?.sessionCount ?? 0;
    this.#missing.note(nowMs, { peer: connection.peer, sessions, reason });
    connection.abandon();
  }
}
