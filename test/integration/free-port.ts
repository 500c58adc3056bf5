import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:net";

/** {@link freePorts}: a single one. */
export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}

/**
 * Ports that are free now, each another one. None that the system gives by itself, to others who listen or to who
 * connects: a broker that ends and comes back must find it free again.
 */
export async function freePorts(count: number): Promise<number[]> {
  const holders: Server[] = [];
  const ports: number[] = [];
  try {
    for (let attempts = 0; ports.length < count; attempts += 1) {
      const port = randomInt(10_000, 30_000);
      const holder = createServer().listen(port, "127.0.0.1");
      try {
        await once(holder, "listening");
      } catch (error) {
        if (attempts >= 100 + count) throw error;
        continue;
      }
      // Held until all are found: one that was given back could be found again.
      holders.push(holder);
      ports.push(port);
    }
    return ports;
  } finally {
    for (const holder of holders) await once(holder.close(), "close");
  }
}
