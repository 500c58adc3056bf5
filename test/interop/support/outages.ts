import type { Connection, ConnectOptions } from "everhold";

type Connect = (url: string, options?: ConnectOptions) => Promise<Connection>;

/** Learns how long connections were broken, as their clients noticed it. */
export class Outages {
  /** Of those that came to an end, in ms; `undefined` where there was none. */
  longestMs: number | undefined;

  /** Connects as `connect` does, and learns of every outage of that connection. */
  of(connect: Connect): Connect {
    return async (url, options) => {
      const connection = await connect(url, options);
      connection.on("failover", ({ result, timeline }) => {
        if (result !== "completed") return;
        this.longestMs = Math.max(this.longestMs ?? 0, Math.round(timeline.durationMs));
      });
      return connection;
    };
  }
}
