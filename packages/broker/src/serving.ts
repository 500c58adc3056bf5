import type { EverholdError } from "@everhold/base";
import type { Endpoint, Listener, Ports, Timer } from "@everhold/env";
import type { Journal, RecoverySummary } from "@everhold/journal";

import type { BrokerConfig } from "./config.ts";
import { CoreServer } from "./core/core-server.ts";
import type { TopologySource } from "./core/node-topology.ts";
import { Engine } from "./engine/engine.ts";
import { limits } from "./limits.ts";
import { CoreRequests } from "./management/core-requests.ts";
import { Management } from "./management/management.ts";
import { BrokerState } from "./state/broker-state.ts";

/** A journal and what is made of it. */
export interface Store<Kind extends Journal = Journal> {
  readonly journal: Kind;
  readonly state: BrokerState;
  readonly engine: Engine;
}

/** Makes the state and the engine over a journal; nothing is touched before the journal is opened. */
export function createStore<Kind extends Journal>(
  ports: Ports,
  config: BrokerConfig,
  journal: Kind,
): Store<Kind> {
  const state = new BrokerState(journal, {
    duplicateIdsMaxOf: (name) => engine.settings.of(name).idCacheSize,
  });
  const engine = new Engine({ ports, config, journal, state });
  return { journal, state, engine };
}

/** What {@link Serving} needs. */
export interface ServingParts {
  readonly ports: Ports;
  readonly config: BrokerConfig;
  readonly store: Store;
  readonly recovery: RecoverySummary;
  /** What clients are told of the group. Default: the broker is alone. */
  readonly topology?: TopologySource;
  /** Called once when the journal fails: by then every connection is closed, and nothing was promised. */
  readonly onFailed: (error: EverholdError) => void;
}

/**
 * Serves clients out of a store whose journal can be written: the acceptors, the CORE adapter, the management.
 *
 *     new ──listen()──▶ serving ──stop()──▶ stopped
 *                          └──journal fails, drop()──▶ gone (every link closed at once, no answers)
 */
export class Serving {
  /** Everything that can be asked of it, by resource and name. */
  readonly management: Management;
  readonly server: CoreServer;
  readonly #ports: Ports;
  readonly #config: BrokerConfig;
  readonly #engine: Engine;
  readonly #recovery: RecoverySummary;
  readonly #listeners: Listener[] = [];
  #scanTimer: Timer | undefined;

  /** @throws EverholdError EVH_DATA_CORRUPT */
  constructor(parts: ServingParts) {
    const { ports, store, config } = parts;
    const { engine, state } = store;
    this.#ports = ports;
    this.#config = config;
    this.#engine = engine;
    this.#recovery = parts.recovery;
    state.afterRecovery(ports.wallClock.nowMs());
    engine.runtimeSettings.load();
    engine.diverts.load();
    engine.catalog.load();
    engine.branches.load();
    engine.returns.load();
    // Something may be scheduled, or have fallen due meanwhile.
    engine.endStep();
    this.server = new CoreServer(engine, ports, parts.topology);
    this.management = new Management({
      engine,
      ports,
      clients: this.server,
      nodeId: this.server.nodeId,
      startedMs: ports.monotonicClock.nowMs(),
      endpoints: () => this.endpoints,
      topology: this.server.topology,
    });
    const requests = new CoreRequests(engine, this.management);
    engine.requests.onRequest = (session, message) => {
      requests.receive(session, message);
    };
    engine.onFailure = (error) => {
      this.drop();
      parts.onFailed(error);
    };
  }

  /** Where it listens, with the ports that were chosen. */
  get endpoints(): readonly Endpoint[] {
    return this.#listeners.map((listener) => listener.endpoint);
  }

  /** Lets clients in; after an error at none of its endpoints, and it may be tried again. @throws EverholdError EVH_PORT_IN_USE */
  async listen(): Promise<void> {
    try {
      for (const endpoint of this.#config.endpoints) {
        const listener = await this.#ports.network.listen(endpoint, (link) =>
          this.server.accept(link),
        );
        this.#listeners.push(listener);
      }
    } catch (error) {
      await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
      throw error;
    }
    this.server.start();
    this.#engine.returns.open();
    this.#scanLater();
    this.#ports.log.info("The broker serves", {
      name: this.#config.name,
      node: this.server.nodeId,
      endpoints: this.endpoints.map((one) => `${one.host}:${one.port}`).join(" "),
      records: this.#recovery.recordCount,
      queues: Array.from(this.#engine.catalog.queues()).length,
      connectionsAllowed: this.server.connectionCountMax,
    });
  }

  /** Accepts no more, answers what was asked before, and only then sends everybody away. */
  async stop(): Promise<void> {
    this.#scanTimer?.cancel();
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    this.server.stopReading();
    await this.#engine.drained();
    this.#engine.halt();
    await this.server.stop();
  }

  /** Ends everything at once, without answers: what was not answered is in doubt. */
  drop(): void {
    this.#scanTimer?.cancel();
    // Clients come back at once. One that was let in here would wait for an answer that never comes.
    for (const listener of this.#listeners) {
      listener.close().catch(() => {
        // Nobody is let in any more: a listener that does not close changes nothing.
      });
    }
    this.server.destroy();
  }

  #scanLater(): void {
    this.#scanTimer = this.#ports.timers.after(limits.scanIntervalMs, () => {
      this.#engine.scan();
      this.#scanLater();
    });
  }
}
