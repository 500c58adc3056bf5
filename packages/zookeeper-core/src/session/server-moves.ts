import { ConnectionError } from "@everhold/base";
import type { Endpoint, Random, Timers } from "@everhold/env";
import type { ServerConnection } from "../connection/server-connection.ts";
import type { ServerAddress } from "../protocol/connect-string.ts";
import { Departure } from "./departure.ts";
import type { Hosts } from "./hosts.ts";
import { isSameList, rebalanced } from "./rebalance.ts";

/** What moving to other servers needs of the session. */
export interface ServerMovesHost {
  readonly ports: { readonly timers: Pick<Timers, "after">; readonly random: Random };
  readonly hosts: Hosts;
  /** The connection there is, and whether requests leave by it. */
  readonly current: () => {
    readonly connection: ServerConnection | undefined;
    readonly isInUse: boolean;
  };
  /** No more requests leave by the connection. */
  readonly stopSending: () => void;
  /** They do again. */
  readonly resumeSending: (connection: ServerConnection) => void;
  /** Ends the attempt that is under way. */
  readonly giveUpAttempt: () => void;
}

/** Goes to other servers when the list of them is another one. */
export class ServerMoves {
  readonly #host: ServerMovesHost;
  readonly #departure: Departure;

  constructor(host: ServerMovesHost) {
    this.#host = host;
    this.#departure = new Departure(host.ports.timers);
  }

  /** Something was answered: a server that is being left may be left now. Whether one is: then nothing is to be sent. */
  checkLeaving(): boolean {
    return this.#departure.check();
  }

  /**
   * Connects to these servers from now on, with TLS as to those before; see {@link rebalanced} for who moves. A server
   * that works is left when it has answered what it was asked; one that is listed again by then stays.
   */
  useServers(servers: readonly ServerAddress[]): void {
    const { ports, hosts, stopSending, resumeSending, giveUpAttempt } = this.#host;
    const before = hosts.endpoints;
    const after = withTlsOf(before, servers);
    if (isSameList(before, after)) return;
    const { connection, isInUse } = this.#host.current();
    const change = { before, after, current: connection?.server, random: ports.random };
    const { stays, order } = rebalanced(change);
    hosts.replace(order);
    if (stays) {
      if (connection !== undefined && this.#departure.callOff()) resumeSending(connection);
      return;
    }
    if (!isInUse) giveUpAttempt();
    if (connection === undefined) return;
    const message = `the server ${connection.server} is left for others`;
    const error = new ConnectionError("EVH_DISCONNECTED", message);
    if (!isInUse) return connection.fail(error);
    stopSending();
    this.#departure.begin(connection, error);
  }

  /** The connection is gone, or the client is closed. */
  forget(): void {
    this.#departure.forget();
  }
}

function withTlsOf(
  [first]: readonly Endpoint[],
  servers: readonly ServerAddress[],
): readonly Endpoint[] {
  const wrapping = first?.tls === undefined ? {} : { tls: first.tls };
  return servers.map((server) => ({ ...server, ...wrapping }));
}
