import type { Tls } from "./tls.ts";
import type { WebSocketUse } from "./web-socket.ts";

/** Stream connections. */
export interface Network {
  /** Links that the system lets this process have, where that is known: fewer than it has descriptors. */
  readonly linkCountMax?: number;
  /**
   * Accepts connections. `accept` is called for each and returns who handles it.
   * @throws EverholdError EVH_PORT_IN_USE; EVH_CONFIG when the endpoint cannot be listened on at all
   */
  listen(endpoint: Endpoint, accept: (link: Link) => LinkHandler): Promise<Listener>;
  /**
   * Tries once to connect, resolving the name anew. Exactly one of `onConnected` and `onFailed` is
   * called, later, unless the attempt is cancelled first.
   */
  connect(endpoint: Endpoint, attempt: ConnectHandler): ConnectAttempt;
}

/** Where to listen or to connect to. `port` 0 lets the system choose, when listening. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** What is spoken there is wrapped in TLS. */
  readonly tls?: Tls;
  /** What is spoken there comes in a WebSocket. When listening: it may, or as it is; its first byte tells. */
  readonly webSocket?: WebSocketUse;
}

/** An acceptor at work. */
export interface Listener {
  /** Where it listens, with the port that was chosen; with `tls` as it was asked for. */
  readonly endpoint: Endpoint;
  /** Accepts no more; links that were accepted live on. */
  close(): Promise<void>;
}

/** Who is told how an attempt to connect ended. */
export interface ConnectHandler {
  onConnected(link: Link): LinkHandler;
  /** `isRefused`: the machine answered, and nothing listens there. */
  onFailed(error: Error, isRefused?: boolean): void;
}

/** An attempt under way. */
export interface ConnectAttempt {
  /** Ends the attempt, its socket included; neither callback is called any more. */
  cancel(): void;
}

/**
 * One connection, both directions. Its methods never call the handler before they have returned.
 * After `destroy`, and after `onClosed`, every method is harmless and does nothing.
 */
export interface Link {
  /** The peer, as `host:port`, for messages to people. */
  readonly peer: string;
  /** Bytes given to `send` that the system has not taken yet. The measure for back-pressure. */
  readonly queuedBytes: number;
  /**
   * Sends `bytes` after all that was sent before. The link owns `bytes` until it gives them back
   * through `onSent`; on a link that is closed they are given back as well.
   */
  send(bytes: Uint8Array): void;
  /** Stops `onData` until `resume`; what the system has already handed over may still arrive. */
  pause(): void;
  resume(): void;
  /** Sends what is queued, then closes. */
  end(): void;
  /** Closes at once and drops what is queued. `onClosed` follows. */
  destroy(): void;
}

/** What happens on a link. Calls never overlap; `onClosed` comes once and last (`onSent` excepted). */
export interface LinkHandler {
  /** Bytes arrived. They belong to the link again as soon as the call returns. */
  onData(bytes: Uint8Array): void;
  /** The link needs these bytes no more; whoever called `send` may use them again. */
  onSent(bytes: Uint8Array): void;
  /** `queuedBytes` is zero again after it was not. */
  onDrained(): void;
  /** The connection is gone. `error` is missing when the peer or we closed it in order. */
  onClosed(error: Error | undefined): void;
}
