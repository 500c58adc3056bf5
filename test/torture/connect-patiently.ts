import { connect, type Connection } from "everhold";

/**
 * Connects for those who look on. A broker that has just come back may answer nobody for half a minute, as Artemis
 * does that misses its backup; after three minutes there is none any more.
 */
export function connectPatiently(url: string): Promise<Connection> {
  return connect(url, {
    reconnect: { initialAttempts: 100 },
    connectTimeout: 60_000,
    callTimeout: 60_000,
    failoverTimeout: 180_000,
  });
}
