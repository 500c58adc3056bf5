import { setTimeout as pause } from "node:timers/promises";

/**
 * Loaded into the broker's process before the broker: answers, when asked, what lives on the heap and
 * outside of it after full collections. Nothing else can tell what lives from what has not been collected yet.
 */
process.on("message", () => {
  collected().then(
    (liveBytes) => process.send?.({ liveBytes }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
// The channel must not keep a broker alive that has stopped.
process.channel?.unref();

/** What is outside of the heap is freed by threads of their own, some time after a collection. */
async function collected(): Promise<number> {
  let leastBytes = Infinity;
  for (let round = 0; round < 5; round += 1) {
    globalThis.gc?.();
    await pause(100);
    const { heapUsed, external } = process.memoryUsage();
    leastBytes = Math.min(leastBytes, heapUsed + external);
  }
  return leastBytes;
}
