import type { EverholdError } from "@everhold/base";
import type { Endpoint, Ports } from "@everhold/env";
import {
  createJournal,
  WatchedDisk,
  type JournalHealth,
  type RecoverySummary,
} from "@everhold/journal";

import { brokerConfig, type BrokerConfig, type BrokerOptions } from "./config.ts";
import type { Authority } from "./engine/authority.ts";
import type { Management } from "./management/management.ts";
import type { TopologySource } from "./core/node-topology.ts";
import { queueInfos, type QueueInfo } from "./queue-info.ts";
import { createStore, Serving, type Store } from "./serving.ts";

/** What {@link Broker.start} needs. */
export interface BrokerStartOptions {
  readonly ports: Ports;
  readonly config?: BrokerOptions;
  /** Called once when the journal fails: by then every connection is closed, and nothing was promised. */
  readonly onFailed?: (error: EverholdError) => void;
  /** What it may do, where somebody else may take its place. Default: everything. */
  readonly authority?: Authority;
  /** What clients are told of the group that it leads. Default: it is alone. */
  readonly topology?: TopologySource;
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
  readonly #ports: Ports & { readonly disk: WatchedDisk };
  readonly #config: BrokerConfig;
  readonly #store: Store;
  readonly #serving: Serving;
  readonly #onFailed: (error: EverholdError) => void;
  #failure: EverholdError | undefined;
  #stopping: Promise<void> | undefined;

  private constructor(
    options: BrokerStartOptions,
    ports: Ports & { readonly disk: WatchedDisk },
    config: BrokerConfig,
    store: Store,
    recovery: RecoverySummary,
  ) {
    this.#ports = ports;
    this.#onFailed = options.onFailed ?? (() => {});
    this.#config = config;
    this.#store = store;
    this.recovery = recovery;
    this.#serving = new Serving({
      ports,
      config,
      store,
      recovery,
      ...(options.topology === undefined ? {} : { topology: options.topology }),
      onFailed: (error) => {
        this.#fail(error);
      },
    });
  }

  /**
   * Opens the journal, recovers what it holds, and listens.
   *
   * @throws EverholdError EVH_CONFIG; EVH_DATA_LOCKED, EVH_DATA_CORRUPT, EVH_DATA_FORMAT,
   * EVH_DATA_FOLDER, EVH_IO from the journal; EVH_PORT_IN_USE
   */
  static async start(options: BrokerStartOptions): Promise<Broker> {
    const config = brokerConfig(options.config);
    const ports = { ...options.ports, disk: WatchedDisk.of(options.ports) };
    const store = createStore(ports, config, createJournal({ ports, ...config.journal }));
    const { journal, state, engine } = store;
    if (options.authority !== undefined) engine.authority = options.authority;
    let broker: Broker;
    try {
      const recovery = await journal.open(state, engine);
      broker = new Broker(options, ports, config, store, recovery);
    } catch (error) {
      await journal.close();
      throw error;
    }
    try {
      await broker.#serving.listen();
    } catch (error) {
      await broker.stop();
      throw error;
    }
    return broker;
  }

  /** Everything that can be asked of it, by resource and name. */
  get management(): Management {
    return this.#serving.management;
  }

  /** Where it listens, with the ports that were chosen. */
  get endpoints(): readonly Endpoint[] {
    return this.#serving.endpoints;
  }

  /** The broker's id: made once for its data, 32 hexadecimal digits. */
  get nodeId(): string {
    return this.#serving.server.nodeId;
  }

  /** Set when the journal has failed. */
  get failure(): EverholdError | undefined {
    return this.#failure;
  }

  /** Damage to the journal's files, since it was opened. */
  get health(): JournalHealth {
    return this.#store.journal.health;
  }

  /** Open connections. */
  get connectionCount(): number {
    return this.#serving.server.connectionCount;
  }

  /** Sessions whose connection broke and that wait for their client to come back. */
  get parkedSessionCount(): number {
    return this.#serving.server.parking.sessionCount;
  }

  /** Sessions of before the restart that may still come back: their queues hand out nothing until they have. */
  get awaitedSessionCount(): number {
    return this.#store.engine.returns.awaitedCount;
  }

  /** Every queue, by name. */
  queues(): QueueInfo[] {
    return queueInfos(this.#store.engine);
  }

  /** A short text that is equal for equal durable state; for tests and comparisons. */
  fingerprint(): string {
    return this.#store.state.fingerprint();
  }

  /** The durable state in a readable form, line by line; what {@link fingerprint} is made of. */
  dump(): string {
    return this.#store.state.dump();
  }

  /** Checks what must hold between steps; the simulator calls it. @throws AssertionError */
  assertInvariants(): void {
    this.#store.state.assertInvariants();
  }

  /** What it may do has changed: requests are left unread, or let in again, and what was withheld is handed out. */
  authorityChanged(): void {
    this.#serving.server.holdRequests();
    this.#store.engine.authorityChanged();
  }

  /** The topology has changed: clients that have asked for it are told. */
  topologyChanged(): void {
    this.#serving.server.topologyChanged();
  }

  /** Writes a snapshot now, so that the next start is quick. */
  snapshotNow(): Promise<void> {
    return this.#store.journal.snapshotNow();
  }

  /**
   * Accepts no more, says goodbye to every client, makes everything durable, and gives the data back.
   * Idempotent.
   * @throws EverholdError EVH_DISK_HUNG: what was appended last may not be on the disk
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(): Promise<void> {
    await this.#ports.disk.unlessHung(this.#end());
    this.#ports.log.info("The broker has stopped", { name: this.#config.name });
  }

  async #end(): Promise<void> {
    await this.#serving.stop();
    await this.#store.journal.close();
  }

  /** Fail-stop: nothing that was not answered is answered any more (ARCHITECTURE.md, "The journal"). */
  #fail(error: EverholdError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#ports.log.error("The journal has failed: the broker stops at once", {
      code: error.code,
      reason: error.message,
    });
    this.#onFailed(error);
  }
}
