import { packets } from "@everhold/wire";

import { forEachIndex, nextCommand, report, taskOfClient } from "./client-process.ts";
import { RawConnection } from "./raw-connection.ts";

/**
 * Holds a crowd of idle connections, each with a session and a consumer, all of which ping every five
 * seconds at the same moment. Told to go on, it sends and consumes on every one of them; told once more,
 * one stops reading and one reads a byte a second.
 */
const pingIntervalMs = 5_000;
const connectionTtlMs = 60_000;
const messagesEach = 10;

const task = taskOfClient();
const port = task.get("port");
const count = task.get("count");
const crowd: RawConnection[] = [];
let pongCount = 0;
let pingedMs = 0;
let slowestRoundMs = 0;
let consumedCount = 0;
let pongsAwaited = 0;

await forEachIndex(count, 100, async (index) => {
  const connection = await RawConnection.open(port, `crowd-${index}`);
  await connection.consume("crowd", 1024 * 1024);
  connection.onOther = (id) => onFrame(id);
  crowd.push(connection);
});
pingAll();
const timer = setInterval(pingAll, pingIntervalMs);
report({ open: crowd.length });

await nextCommand();
for (const connection of crowd) {
  for (let sent = 0; sent < messagesEach; sent += 1) connection.sendMessage("crowd");
}
while (consumedCount < count * messagesEach) await tick();
report({ consumed: consumedCount });

await nextCommand();
const deaf = await RawConnection.open(port, "deaf");
await deaf.consume("deaf", -1);
deaf.socket.pause();
const slow = await RawConnection.open(port, "slow");
await slow.consume("slow", -1);
slow.socket.pause();
slow.socket.removeAllListeners("data");
const dripTimer = setInterval(() => void slow.socket.read(1), 1_000);
crowd.push(deaf, slow);
report({ open: crowd.length });

await nextCommand();
clearInterval(timer);
clearInterval(dripTimer);
report({
  pongCount,
  slowestRoundMs,
  closedCount: crowd.filter(({ isClosed }) => isClosed).length,
});
for (const { socket } of crowd) socket.destroy();
process.disconnect();

function pingAll(): void {
  pingedMs = performance.now();
  pongsAwaited = crowd.filter(({ socket }) => !socket.isPaused()).length;
  for (const connection of crowd) connection.ping(connectionTtlMs);
}

function onFrame(id: number): void {
  if (id === packets.receive.id) consumedCount += 1;
  if (id !== packets.ping.id) return;
  pongCount += 1;
  pongsAwaited -= 1;
  if (pongsAwaited === 0) slowestRoundMs = Math.max(slowestRoundMs, performance.now() - pingedMs);
}

function tick(): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, 5));
}
