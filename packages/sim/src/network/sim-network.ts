import { ConnectionError, EverholdError, type Prng } from "@everhold/base";
import type {
  ConnectAttempt,
  ConnectHandler,
  Endpoint,
  Link,
  LinkHandler,
  Listener,
  Network,
} from "@everhold/env";
import { limits } from "../limits.ts";
import type { Life } from "../world/life.ts";
import type { World } from "../world/world.ts";
import { Connection, type EndOptions } from "./connection.ts";

/** How long bytes travel, in ms. May be changed at any time. */
export interface Latency {
  minMs: number;
  maxMs: number;
  /** How often, 0 … 1, a piece takes `spikeMs` more. */
  spikeProbability: number;
  spikeMs: number;
}

/**
 * The network between all machines of a world. A machine's name is its host name; `localhost` and
 * `127.0.0.1` are the machine that asks.
 */
export class SimNetwork {
  readonly latency: Latency = { minMs: 0.05, maxMs: 1.5, spikeProbability: 0.01, spikeMs: 20 };
  readonly #world: World;
  readonly #prng: Prng;
  readonly #listeners = new Map<string, ListeningProcess>();
  #connections: Connection[] = [];
  #connectionCount = 0;
  #portCount = 0;
  #partitionUntilMs = 0;
  /** Until when a machine reaches nobody. */
  readonly #isolatedUntilMs = new Map<string, number>();
  /** Until when two machines do not reach each other. */
  readonly #separatedUntilMs = new Map<string, number>();
  #refuseUntilMs = 0;

  constructor(world: World) {
    this.#world = world;
    this.#prng = world.randomFor("network");
  }

  /** The network as one process on `machine` sees it. */
  forProcess(machine: string, life: Life): Network {
    return {
      listen: async (endpoint, accept) => this.#listen({ machine, life }, endpoint, accept),
      connect: (endpoint, attempt) => this.#connect({ machine, life }, endpoint, attempt),
    };
  }

  /** Cuts one connection; false when there is none. */
  cutOne(): boolean {
    const connection = this.#anyConnection();
    connection?.cut();
    return connection !== undefined;
  }

  /** Cuts the connection of which this is the listener's end; false when it is gone already. */
  cutLink(link: Link): boolean {
    const connection = this.#openConnections().find(({ serverLink }) => serverLink === link);
    connection?.cut();
    return connection !== undefined;
  }

  /** Holds up one direction of one connection; false when there is none. */
  stallOne(durationMs: number): boolean {
    const direction = this.#prng.chance(0.5) ? "toServer" : "toClient";
    const connection = this.#anyConnection();
    connection?.stall(direction, durationMs);
    return connection !== undefined;
  }

  /** Lets nothing arrive any more in one direction of one connection; false when there is none. */
  dropOne(): boolean {
    const direction = this.#prng.chance(0.5) ? "toServer" : "toClient";
    const connection = this.#anyConnection();
    connection?.drop(direction);
    return connection !== undefined;
  }

  /** Nothing passes between machines for a while, neither bytes nor attempts to connect. */
  partition(durationMs: number): void {
    this.#partitionUntilMs = Math.max(this.#partitionUntilMs, this.#world.nowMs + durationMs);
    for (const connection of this.#openConnections()) connection.stallBoth(durationMs);
  }

  /** The same for what begins at one machine. */
  isolate(machine: string, durationMs: number): void {
    this.#isolatedUntilMs.set(machine, this.#world.nowMs + durationMs);
    for (const connection of this.#openConnections()) {
      if (connection.touches(machine)) connection.stallBoth(durationMs);
    }
  }

  /** Nothing passes between these two for a while, whoever begins. */
  separate(one: string, other: string, durationMs: number): void {
    const untilMs = this.#world.nowMs + durationMs;
    this.#separatedUntilMs.set(pairOf(one, other), untilMs);
    for (const connection of this.#openConnections()) {
      if (connection.touches(one) && connection.touches(other)) connection.stallBoth(durationMs);
    }
  }

  /** All attempts to connect are refused for a while. */
  refuse(durationMs: number): void {
    this.#refuseUntilMs = Math.max(this.#refuseUntilMs, this.#world.nowMs + durationMs);
  }

  /** A process on `machine` is gone. */
  machineCrashed(machine: string, options: { readonly power: boolean }): void {
    for (const [key, listener] of this.#listeners) {
      if (!listener.end.life.alive) this.#listeners.delete(key);
    }
    for (const connection of this.#openConnections()) {
      if (!connection.touches(machine)) continue;
      connection.machineDied(machine, options.power, () => this.#listensOn(machine));
    }
  }

  #listen(end: EndOptions, endpoint: Endpoint, accept: (link: Link) => LinkHandler): Listener {
    let port = endpoint.port;
    if (port === 0) {
      port = limits.portFirst + this.#portCount;
      this.#portCount += 1;
    }
    const key = `${end.machine}:${port}`;
    if (this.#listeners.has(key)) {
      throw new EverholdError("EVH_PORT_IN_USE", `cannot listen on ${key}: another program does`);
    }
    const listening: ListeningProcess = { end, accept };
    this.#listeners.set(key, listening);
    return {
      endpoint: { host: endpoint.host, port },
      close: async () => {
        if (this.#listeners.get(key) === listening) this.#listeners.delete(key);
      },
    };
  }

  #connect(client: EndOptions, endpoint: Endpoint, attempt: ConnectHandler): ConnectAttempt {
    const local = endpoint.host === "localhost" || endpoint.host === "127.0.0.1";
    const key = `${local ? client.machine : endpoint.host}:${endpoint.port}`;
    const state: Attempt = { client, key, handler: attempt, over: false, connection: undefined };
    const isolatedUntilMs = this.#isolatedUntilMs.get(client.machine) ?? 0;
    const separatedUntilMs = this.#separatedUntilMs.get(pairOf(client.machine, endpoint.host)) ?? 0;
    const cutOffUntilMs = Math.max(this.#partitionUntilMs, isolatedUntilMs, separatedUntilMs);
    if (!local && this.#world.nowMs < cutOffUntilMs) {
      this.#failLater(state, limits.connectTimeoutMs, "there was no answer", false);
    } else {
      this.#world.after(this.#latencyMs(), client.machine, "SYN arrives", () =>
        this.#accept(state),
      );
    }
    return {
      cancel: () => {
        if (state.over) return;
        state.over = true;
        state.connection?.clientLink.destroy();
      },
    };
  }

  /** The attempt has reached the other machine. */
  #accept(state: Attempt): void {
    const listener = this.#listeners.get(state.key);
    const refused = this.#world.nowMs < this.#refuseUntilMs;
    if (listener === undefined || refused || !listener.end.life.alive) {
      this.#failLater(state, this.#latencyMs(), "nothing listens there", true);
      return;
    }
    if (state.over || !state.client.life.alive) return;
    this.#connectionCount += 1;
    const connection = new Connection({
      world: this.#world,
      prng: this.#prng,
      name: `link ${this.#connectionCount}`,
      latencyMs: () => this.#latencyMs(),
      client: state.client,
      server: listener.end,
      serverPeer: state.key,
    });
    state.connection = connection;
    this.#connections.push(connection);
    connection.serverLink.attach(listener.accept(connection.serverLink));
    state.client.life.after(this.#latencyMs(), "connected", () => {
      if (state.over) return;
      state.over = true;
      connection.clientLink.attach(state.handler.onConnected(connection.clientLink));
    });
  }

  #failLater(state: Attempt, delayMs: number, reason: string, isRefused: boolean): void {
    state.client.life.after(delayMs, "connect fails", () => {
      if (state.over) return;
      state.over = true;
      const message = `cannot connect to ${state.key}: ${reason}`;
      state.handler.onFailed(new ConnectionError("EVH_NOT_CONNECTED", message), isRefused);
    });
  }

  #latencyMs(): number {
    const { minMs, maxMs, spikeProbability, spikeMs } = this.latency;
    const spike = this.#prng.chance(spikeProbability) ? spikeMs : 0;
    return minMs + this.#prng.fraction() * (maxMs - minMs) + spike;
  }

  #listensOn(machine: string): boolean {
    return [...this.#listeners.values()].some((listener) => listener.end.machine === machine);
  }

  #openConnections(): Connection[] {
    this.#connections = this.#connections.filter((connection) => connection.open);
    return this.#connections;
  }

  #anyConnection(): Connection | undefined {
    const open = this.#openConnections();
    return open[this.#prng.integer(0, open.length - 1)];
  }
}

interface ListeningProcess {
  readonly end: EndOptions;
  readonly accept: (link: Link) => LinkHandler;
}

interface Attempt {
  readonly client: EndOptions;
  readonly key: string;
  readonly handler: ConnectHandler;
  over: boolean;
  connection: Connection | undefined;
}

function pairOf(one: string, other: string): string {
  return one < other ? `${one} ${other}` : `${other} ${one}`;
}
