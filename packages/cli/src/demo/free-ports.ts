import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:net";

/** Ports that are tried beyond those that are needed; the error of the last says why. */
const attemptsMax = 100;

/**
 * Ports that nobody listens on now, each another one. None that the system gives by itself, to others who listen or to
 * who connects: a member that is started again must find its own free.
 */
export async function freePorts(count: number): Promise<number[]> {
  const holders: Server[] = [];
  const ports: number[] = [];
  try {
    for (let attempt = 1; ports.length < count; attempt += 1) {
      const port = randomInt(10_000, 30_000);
      const holder = createServer().listen(port, "127.0.0.1");
      try {
        await once(holder, "listening");
      } catch (error) {
        if (attempt === attemptsMax + count) throw error;
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
