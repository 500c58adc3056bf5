/**
 * A WebSocket (RFC 6455) on an endpoint: its binary messages carry what is spoken there, as one stream of bytes
 * whose division into messages means nothing.
 */
export interface WebSocketUse {
  /** When connecting: path and query of the address. Default `/`. */
  readonly path?: string;
  /**
   * When listening: the origins (RFC 6454) of pages that may come in, `*` for any. Default those that this machine
   * serves itself, `http://localhost:5173` for one. Programs that are no browser name none, and may.
   */
  readonly origins?: readonly string[];
}
