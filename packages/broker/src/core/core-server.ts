import { deferred, EverholdError } from "@everhold/base";
import type { Link, LinkHandler, Ports, Timer } from "@everhold/env";

import type { Engine } from "../engine/engine.ts";
import { limits } from "../limits.ts";
import { CoreConnection } from "./core-connection.ts";

/** All connections that speak CORE, and the one timer that looks after them. */
export class CoreServer {
  readonly engine: Engine;
  /** The node's id as clients see it: the journal's group id, the same for ever. */
  readonly nodeId: string;
  /** Orders what clients hear about the topology; grows from start to start. */
  readonly eventId: number;
  /** Connections that are not read for now. */
  readonly paused = new Set<CoreConnection>();
  readonly #ports: Ports;
  readonly #connections = new Set<CoreConnection>();
  /** Connections that were ended and may still have to send their last bytes. */
  readonly lingering = new Set<CoreConnection>();
  #timer: Timer | undefined;
  #onAllClosed: (() => void) | undefined;

  constructor(engine: Engine, ports: Ports) {
    this.engine = engine;
    this.#ports = ports;
    this.nodeId = hexadecimal(engine.journal.groupId);
    this.eventId = ports.wallClock.nowMs();
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Begins to look after connections. */
  start(): void {
    this.engine.onRelief = () => {
      for (const connection of this.paused) connection.relieve();
    };
    this.#timer = this.#ports.timers.after(limits.checkIntervalMs, () => {
      this.#check();
    });
  }

  /** Handles a new link. */
  accept(link: Link): LinkHandler {
    const connection = new CoreConnection(this, link, this.#ports.monotonicClock.nowMs());
    this.#connections.add(connection);
    if (this.#connections.size > limits.connectionCountMax) {
      this.engine.log.warn("A connection was refused: there are too many", { peer: link.peer });
      this.#connections.delete(connection);
      connection.destroy();
    }
    return connection;
  }

  /** The connection has let go of everything. */
  forget(connection: CoreConnection): void {
    this.#connections.delete(connection);
    this.paused.delete(connection);
  }

  /**
   * A client asks on connection `by` for the session it had: its earlier connection is dead, whether we
   * have noticed or not. What that one holds, messages, client id, temporary queues, is free at once.
   */
  replaced(sessionName: string, by: CoreConnection): void {
    for (const connection of this.#connections) {
      if (connection === by || !connection.hasSession(sessionName)) continue;
      const reason = `the client has come back as ${by.peer}`;
      connection.fail(new EverholdError("EVH_DISCONNECTED", reason));
      return;
    }
  }

  /** The connection's link is gone. */
  closed(connection: CoreConnection): void {
    this.lingering.delete(connection);
    if (this.lingering.size === 0) this.#onAllClosed?.();
  }

  /** Takes no more requests. */
  stopReading(): void {
    this.#timer?.cancel();
    for (const connection of this.#connections) connection.stopReading();
  }

  /** Says goodbye to everybody, and settles when all have gone or the time for that is over. */
  async stop(): Promise<void> {
    for (const connection of [...this.#connections]) connection.shutDown();
    this.engine.outputs.flush();
    const allClosed = deferred<undefined>();
    this.#onAllClosed = () => {
      allClosed.resolve(undefined);
    };
    const timer = this.#ports.timers.after(limits.lingerMs, this.#onAllClosed);
    if (this.lingering.size > 0) await allClosed.promise;
    timer.cancel();
    this.destroy();
  }

  /** Closes everything at once, without answers: what was not said stays in doubt. */
  destroy(): void {
    this.#timer?.cancel();
    for (const connection of this.#connections) connection.destroy();
    this.#connections.clear();
    for (const connection of this.lingering) connection.destroy();
    this.lingering.clear();
  }

  #check(): void {
    const nowMs = this.#ports.monotonicClock.nowMs();
    for (const connection of this.lingering) connection.destroy();
    this.lingering.clear();
    for (const connection of [...this.#connections]) connection.check(nowMs);
    this.engine.endStep();
    this.engine.credits.grantWaiting();
    this.engine.outputs.flush();
    this.#timer = this.#ports.timers.after(limits.checkIntervalMs, () => {
      this.#check();
    });
  }
}

function hexadecimal(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
