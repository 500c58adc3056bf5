import { magicBytes, packets } from "@everhold/wire";

import { forEachIndex, report, taskOfClient } from "./client-process.ts";
import { RawConnection } from "./raw-connection.ts";

/** Opens and drops connections at every stage of their life, half of them by a reset. */
const task = taskOfClient();
const port = task.get("port");
const count = task.get("count");

/** How far a client comes before it is gone, in the order of its life. */
const stages: readonly (() => Promise<RawConnection>)[] = [
  () => RawConnection.dial(port),
  async () => {
    const connection = await RawConnection.dial(port);
    connection.socket.write(magicBytes.subarray(0, 3));
    return connection;
  },
  async () => {
    const connection = await RawConnection.dial(port);
    connection.socket.write(Uint8Array.of(...magicBytes, 0, 0, 0, 17, packets.ping.id));
    return connection;
  },
  async () => {
    const connection = await RawConnection.dial(port);
    connection.greet();
    return connection;
  },
  async () => {
    // The answer finds the connection gone.
    const connection = await RawConnection.dial(port);
    connection.greet();
    connection.createSession(nextName());
    return connection;
  },
  () => RawConnection.open(port, nextName()),
  async () => {
    const connection = await RawConnection.open(port, nextName());
    await connection.consume("crowd", 1024 * 1024);
    return connection;
  },
  async () => {
    const connection = await RawConnection.open(port, nextName());
    connection.sendMessage("crowd");
    return connection;
  },
];

let opened = 0;
const startedMs = performance.now();
await forEachIndex(count, 100, async (index) => {
  const stage = stages[index % stages.length] ?? stages[0];
  const connection = await stage?.();
  if (connection === undefined) return;
  opened += 1;
  const isReset = Math.floor(index / stages.length) % 2 === 0;
  if (isReset) connection.socket.resetAndDestroy();
  else connection.socket.end();
  await connection.closed();
});
report({ opened, seconds: (performance.now() - startedMs) / 1_000 });
process.disconnect();

function nextName(): string {
  return `drop-${process.pid}-${opened}-${Math.random()}`;
}
