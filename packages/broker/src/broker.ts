import type { EverholdError } from "@everhold/base";
import type { Endpoint, Listener, Ports, Timer } from "@everhold/env";
import { createJournal, type Journal, type RecoverySummary } from "@everhold/journal";

import { brokerConfig, type BrokerConfig, type BrokerOptions } from "./config.ts";
import { CoreServer } from "./core/core-server.ts";
import { Engine } from "./engine/engine.ts";
import { limits } from "./limits.ts";
import { CoreRequests } from "./management/core-requests.ts";
import { Management } from "./management/management.ts";
import { BrokerState } from "./state/broker-state.ts";

/** What can be seen of one queue. */
export interface QueueInfo {
  readonly name: string;
  readonly address: string;
  readonly routingType: "anycast" | "multicast";
  readonly durable: boolean;
  readonly temporary: boolean;
  /** Messages in the queue, in flight ones included. */
  readonly messageCount: number;
  /** Messages that a consumer holds and has not settled. */
  readonly inFlightCount: number;
  readonly consumerCount: number;
  /** Bytes of its messages. */
  readonly bytes: number;
}

/** What {@link Broker.start} needs. */
export interface BrokerStartOptions {
  readonly ports: Ports;
  readonly config?: BrokerOptions;
  /** Called once when the journal fails: by then every connection is closed, and nothing was promised. */
  readonly onFailed?: (error: EverholdError) => void;
}

/**
 * A broker: journal, state, engine and the CORE adapter on the given ports.
 *
 *     start() ──▶ serving ──stop()──▶ stopped
 *                    └──journal fails──▶ failed (every link closed at once, no answers)
 */
export class Broker {
  /** What recovery found. */
  readonly recovery: RecoverySummary;
  /** Everything that can be asked of it, by resource and name. */
  readonly management: Management;
  readonly #ports: Ports;
  readonly #config: BrokerConfig;
  readonly #journal: Journal;
  readonly #state: BrokerState;
  readonly #engine: Engine;
  readonly #server: CoreServer;
  readonly #onFailed: (error: EverholdError) => void;
  readonly #listeners: Listener[] = [];
  #scanTimer: Timer | undefined;
  #failure: EverholdError | undefined;
  #stopping: Promise<void> | undefined;

  private constructor(
    options: BrokerStartOptions,
    parts: { config: BrokerConfig; engine: Engine; recovery: RecoverySummary },
  ) {
    this.#ports = options.ports;
    this.#onFailed = options.onFailed ?? (() => {});
    this.#config = parts.config;
    this.#engine = parts.engine;
    this.#journal = parts.engine.journal;
    this.#state = parts.engine.state;
    this.recovery = parts.recovery;
    this.#server = new CoreServer(parts.engine, options.ports);
    this.management = new Management({
      engine: parts.engine,
      ports: options.ports,
      clients: this.#server,
      nodeId: this.nodeId,
      startedMs: options.ports.monotonicClock.nowMs(),
      endpoints: () => this.endpoints,
    });
    const requests = new CoreRequests(parts.engine, this.management);
    parts.engine.requests.onRequest = (session, message) => {
      requests.receive(session, message);
    };
    parts.engine.onFailure = (error) => {
      this.#fail(error);
    };
  }

  /**
   * Opens the journal, recovers what it holds, and listens.
   *
   * @throws EverholdError EVH_CONFIG; EVH_DATA_LOCKED, EVH_DATA_CORRUPT, EVH_DATA_FORMAT,
   * EVH_DATA_FOLDER, EVH_IO from the journal; EVH_PORT_IN_USE
   */
  static async start(options: BrokerStartOptions): Promise<Broker> {
    const { ports } = options;
    const config = brokerConfig(options.config);
    const journal = createJournal({ ports, ...config.journal });
    const state = new BrokerState(journal, {
      duplicateIdsMaxOf: (name) => engine.settings.of(name).idCacheSize,
    });
    const engine = new Engine({ ports, config, journal, state });
    let recovery: RecoverySummary;
    try {
      recovery = await journal.open(state, engine);
      state.afterRecovery(ports.wallClock.nowMs());
      engine.runtimeSettings.load();
      engine.diverts.load();
      engine.catalog.load();
      engine.branches.load();
      engine.returns.load();
      // Something may be scheduled, or have fallen due meanwhile.
      engine.endStep();
    } catch (error) {
      await journal.close();
      throw error;
    }
    const broker = new Broker(options, { config, engine, recovery });
    try {
      await broker.#listen();
    } catch (error) {
      await broker.stop();
      throw error;
    }
    return broker;
  }

  /** Where it listens, with the ports that were chosen. */
  get endpoints(): readonly Endpoint[] {
    return this.#listeners.map((listener) => listener.endpoint);
  }

  /** The broker's id: made once for its data, 32 hexadecimal digits. */
  get nodeId(): string {
    return this.#server.nodeId;
  }

  /** Set when the journal has failed. */
  get failure(): EverholdError | undefined {
    return this.#failure;
  }

  /** Open connections. */
  get connectionCount(): number {
    return this.#server.connectionCount;
  }

  /** Sessions whose connection broke and that wait for their client to come back. */
  get parkedSessionCount(): number {
    return this.#server.parking.sessionCount;
  }

  /** Sessions of before the restart that may still come back: their queues hand out nothing until they have. */
  get awaitedSessionCount(): number {
    return this.#engine.returns.awaitedCount;
  }

  /** Every queue, by name. */
  queues(): QueueInfo[] {
    const infos = Array.from(this.#engine.catalog.queues(), (queue): QueueInfo => {
      const { definition, messageCount, inFlightCount, bytes } = queue.state;
      return {
        name: definition.name,
        address: definition.addressName,
        routingType: definition.routingType,
        durable: definition.durable,
        temporary: definition.temporary,
        messageCount,
        inFlightCount,
        consumerCount: queue.consumers.length,
        bytes,
      };
    });
    return infos.sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  /** A short text that is equal for equal durable state; for tests and comparisons. */
  fingerprint(): string {
    return this.#state.fingerprint();
  }

  /** The durable state in a readable form, line by line; what {@link fingerprint} is made of. */
  dump(): string {
    return this.#state.dump();
  }

  /** Checks what must hold between steps; the simulator calls it. @throws AssertionError */
  assertInvariants(): void {
    this.#state.assertInvariants();
  }

  /** Writes a snapshot now, so that the next start is quick. */
  snapshotNow(): Promise<void> {
    return this.#journal.snapshotNow();
  }

  /**
   * Accepts no more, says goodbye to every client, makes everything durable, and gives the data back.
   * Idempotent.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #listen(): Promise<void> {
    for (const endpoint of this.#config.endpoints) {
      const listener = await this.#ports.network.listen(endpoint, (link) =>
        this.#server.accept(link),
      );
      this.#listeners.push(listener);
    }
    this.#server.start();
    this.#engine.returns.open();
    this.#scanLater();
    this.#ports.log.info("The broker serves", {
      name: this.#config.name,
      node: this.nodeId,
      endpoints: this.endpoints.map((one) => `${one.host}:${one.port}`).join(" "),
      records: this.recovery.recordCount,
      queues: this.queues().length,
      connectionsAllowed: this.#server.connectionCountMax,
    });
  }

  async #stop(): Promise<void> {
    this.#scanTimer?.cancel();
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    // What was asked before is answered, and only then everybody is sent away.
    this.#server.stopReading();
    await this.#engine.drained();
    this.#engine.halt();
    await this.#server.stop();
    await this.#journal.close();
    this.#ports.log.info("The broker has stopped", { name: this.#config.name });
  }

  /** Fail-stop: nothing that was not answered is answered any more (ARCHITECTURE.md, "The journal"). */
  #fail(error: EverholdError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#ports.log.error("The journal has failed: the broker stops at once", {
      code: error.code,
      reason: error.message,
    });
    this.#scanTimer?.cancel();
    this.#server.destroy();
    for (const listener of this.#listeners) {
      listener.close().catch(() => {
        // The process is about to end: a listener that does not close changes nothing any more.
      });
    }
    this.#onFailed(error);
  }

  #scanLater(): void {
    this.#scanTimer = this.#ports.timers.after(limits.scanIntervalMs, () => {
      this.#engine.scan();
      this.#scanLater();
    });
  }
}
