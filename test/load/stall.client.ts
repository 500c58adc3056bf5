import { magicBytes, packets } from "@everhold/wire";

import { report, taskOfClient } from "./client-process.ts";
import { RawConnection } from "./raw-connection.ts";

/** Begins handshakes and never ends them, in every way, and tells when the broker gave up. */
const task = taskOfClient();
const port = task.get("port");
const each = task.get("each");

/** A ping: 4 bytes of length, the packet's id, 8 of the channel, 8 of the time to live. */
const pingFrame = Uint8Array.of(0, 0, 0, 17, packets.ping.id, ...new Uint8Array(16));
const beginnings: readonly Uint8Array[] = [
  new Uint8Array(0),
  magicBytes.subarray(0, 3),
  magicBytes,
  Uint8Array.of(...magicBytes, ...pingFrame.subarray(0, 4)),
  Uint8Array.of(...magicBytes, ...pingFrame.subarray(0, 12)),
];

const work: Promise<number>[] = [];
for (const beginning of beginnings) {
  for (let count = 0; count < each; count += 1) work.push(stall(beginning));
}
for (let count = 0; count < each; count += 1) work.push(trickle());
const seconds = await Promise.all(work);
report({
  closed: seconds.length,
  minSeconds: Math.min(...seconds),
  maxSeconds: Math.max(...seconds),
});
process.disconnect();

async function stall(beginning: Uint8Array): Promise<number> {
  // The broker counts from when it hears of the connection, which is never before this.
  const startedMs = performance.now();
  const connection = await RawConnection.dial(port);
  connection.socket.write(beginning);
  await connection.closed();
  return (performance.now() - startedMs) / 1_000;
}

/** A byte a second: the handshake would take 28 seconds. */
async function trickle(): Promise<number> {
  const startedMs = performance.now();
  const connection = await RawConnection.dial(port);
  const bytes = [...magicBytes, ...pingFrame].values();
  const timer = setInterval(() => {
    const { value } = bytes.next();
    if (value !== undefined && connection.socket.writable) {
      connection.socket.write(Uint8Array.of(value));
    }
  }, 1_000);
  await connection.closed();
  clearInterval(timer);
  return (performance.now() - startedMs) / 1_000;
}
