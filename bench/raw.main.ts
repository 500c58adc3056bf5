import { LatencyHistogram } from "./latency-histogram.ts";
import { cpuSince, warmUpShare } from "./meter.ts";
import { RawProducer, sendFrame } from "./raw-producer.ts";
import { messagesMax, parseTask, type Measurement, type Task } from "./task.ts";

/**
 * The load of `send` without a client library: frames that were encoded once are written again and
 * again with the next correlation id, so that the broker is what is measured.
 */
const task = parseTask(process.argv[2]);
process.send?.(await measure(task));
process.disconnect();

async function measure(work: Task): Promise<Measurement> {
  const latencies = new LatencyHistogram();
  const each = Math.max(1, Math.floor(work.inFlight / work.producers));
  const frame = sendFrame(work);
  const producers = await Promise.all(
    Array.from({ length: work.producers }, () =>
      RawProducer.open(work.url, frame, each, latencies),
    ),
  );
  const answered = (): number => producers.reduce((sum, producer) => sum + producer.answered, 0);
  const most = messagesMax(work);
  for (const producer of producers) producer.start();
  await pause(work.seconds * warmUpShare * 1_000, () => answered() > most * warmUpShare);
  for (const producer of producers) producer.isMeasuring = true;
  const startedMs = performance.now();
  const cpuBefore = process.cpuUsage();
  const before = answered();
  await pause(work.seconds * 1_000, () => answered() > most);
  const count = answered() - before;
  const cpu = cpuSince(cpuBefore, count);
  const seconds = (performance.now() - startedMs) / 1_000;
  for (const producer of producers) producer.end();
  return {
    perSecond: Math.round(count / seconds),
    p50: latencies.percentile(0.5),
    p99: latencies.percentile(0.99),
    count,
    cpu,
  };
}

/** Waits that long, or until `isEnough`. */
async function pause(milliseconds: number, isEnough: () => boolean): Promise<void> {
  const endMs = performance.now() + milliseconds;
  while (performance.now() < endMs && !isEnough()) {
    await new Promise((resolve) => void setTimeout(resolve, 5));
  }
}
