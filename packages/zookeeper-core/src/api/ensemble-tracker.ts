import type { Log } from "@everhold/env";
import { operations } from "../protocol/operations.ts";
import { formatServer, type ServerAddress } from "../protocol/connect-string.ts";
import type { Session } from "../session/session.ts";
import type { WatchEvent } from "../watches/watch-request.ts";
import { limits } from "../limits.ts";
import type { Caller } from "./caller.ts";
import { configPath } from "./ensemble.ts";
import {
  type EnsembleConfig,
  type EnsembleServer,
  parseEnsembleConfig,
} from "./ensemble-config.ts";
import { readSpec } from "./request-spec.ts";
import { retries } from "./retry-policy.ts";

/** What a tracker needs. */
interface EnsembleTrackerOptions {
  /** Without any chroot. */
  readonly caller: Caller;
  readonly log: Log;
  /** The servers that clients can use by now; at least one. */
  readonly onServers: (servers: readonly ServerAddress[]) => void;
  readonly onError: (error: unknown) => void;
}

/**
 * Follows the configuration that the ensemble keeps of itself: reads it with a watch, and again whenever the watch
 * tells, over connections and sessions. Where it can't be read that is told, and it is read again after the next
 * reconnect.
 */
class EnsembleTracker {
  readonly #options: EnsembleTrackerOptions;
  readonly #retry = retries.exponential({ maxMs: limits.afterwardsPauseMsMax });
  #state: "idle" | "reading" | "readingStale" | "failed" = "idle";
  /** Of the newest that was applied: a server may be behind the one before. */
  #version: bigint | undefined;

  constructor(options: EnsembleTrackerOptions) {
    this.#options = options;
  }

  /** Reads it, and again when it changes. */
  look(): void {
    if (this.#state === "reading" || this.#state === "readingStale") {
      this.#state = "readingStale";
      return;
    }
    this.#state = "reading";
    const { caller, onError } = this.#options;
    const watch = { kind: "data", onEvent: this.#onEvent, owner: this } as const;
    const spec = readSpec(operations.getData, configPath, watch);
    caller
      .call(spec, { timeout: Infinity, retry: this.#retry }, "repeatable")
      .then(({ data }) => {
        const isStale = this.#state === "readingStale";
        this.#state = "idle";
        this.#apply(parseEnsembleConfig(data));
        if (isStale) this.look();
      })
      .catch((error: unknown) => {
        this.#state = "failed";
        if (!caller.context.closed.aborted) onError(error);
      });
  }

  /** A server is connected again. */
  onReconnected(): void {
    if (this.#state === "failed") this.look();
  }

  /** The ensemble's data went back in time, and what is in it counts all the same. */
  onRolledBack(): void {
    this.#version = undefined;
  }

  readonly #onEvent = ({ type }: WatchEvent): void => {
    if (type !== "closed") this.look();
  };

  #apply(config: EnsembleConfig): void {
    const { version, servers } = config;
    if (this.#version !== undefined && version <= this.#version) return;
    this.#version = version;
    const { log, onServers } = this.#options;
    const usable: ServerAddress[] = [];
    for (const server of servers) {
      const problem = problemOf(server);
      if (problem === undefined && server.client !== undefined) usable.push(server.client);
      else
        log.warn("A server of ZooKeeper's own configuration is left out", {
          server: server.id,
          problem,
        });
    }
    if (usable.length > limits.serverCountMax) {
      log.warn("ZooKeeper's own configuration names more servers than a client uses", {
        found: usable.length,
        used: limits.serverCountMax,
      });
    }
    if (usable.length > 0) return onServers(usable.slice(0, limits.serverCountMax));
    log.warn("ZooKeeper's own configuration names no server that clients can use", {
      version: `0x${version.toString(16)}`,
    });
  }
}

/** Has a session follow the ensemble's own configuration. `caller` has no chroot. */
export function trackEnsemble(session: Session, caller: Caller, log: Log): void {
  const tracker = new EnsembleTracker({
    caller,
    log,
    onServers: (servers) => session.useServers(servers),
    onError: (error) => session.reportError(error),
  });
  session.listen(({ type }) => {
    if (type === "connected") tracker.look();
    if (type === "reconnected") tracker.onReconnected();
    if (type === "ensembleRolledBack") tracker.onRolledBack();
  });
}

/** Why clients can't use the address that the configuration has of a server. */
function problemOf({ client }: EnsembleServer): string | undefined {
  if (client === undefined) return "it says no port for clients";
  const isEverywhere = ["", "0.0.0.0", "::", "0:0:0:0:0:0:0:0"].includes(client.host);
  if (isEverywhere) return `${formatServer(client)} is where it listens, not where it is`;
  return client.port > 0 && client.port <= 65_535 ? undefined : `it has the port ${client.port}`;
}
