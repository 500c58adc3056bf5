import { connect, typed, type Consumer, type Producer } from "everhold";

import { InFlight } from "./in-flight.ts";
import { Meter, warmUpShare } from "./meter.ts";
import { messagesMax, parseTask, type Measurement, type Task } from "./task.ts";

/** The load of each workload with the real client. */
const task = parseTask(process.argv[2]);
const connection = await connect(task.url, { heartbeat: { ttl: 60_000 } });
process.send?.(await measure(task));
await connection.close();
process.disconnect();

function measure(work: Task): Promise<Measurement> {
  switch (work.workload) {
    case "send":
      return measureSends(work);
    case "store":
      return store(work);
    case "consume":
      return measureConsumption(work);
    case "latency":
      return measureLatency(work);
  }
}

/** Sends with so many in flight; a send is over when the broker has it safe. */
async function measureSends(work: Task): Promise<Measurement> {
  const meter = new Meter(work.seconds);
  const body = bodyOf(work);
  const connections = await Promise.all(
    Array.from({ length: work.producers - 1 }, () => connect(work.url)),
  );
  const each = Math.max(1, Math.floor(work.inFlight / work.producers));
  let left = messagesMax(work);
  const sendInTurn = async (producer: Producer): Promise<void> => {
    while (!meter.isOver() && left-- > 0) {
      const startedMs = performance.now();
      await producer.send(body);
      meter.record(startedMs);
    }
  };
  const all = [connection, ...connections].flatMap((each_) => {
    const producer = each_.producer(work.queue, { durable: work.durable });
    return Array.from({ length: each }, () => sendInTurn(producer));
  });
  await Promise.all(all);
  const measured = meter.result();
  await Promise.all(connections.map((other) => other.close()));
  return measured;
}

/** Sends what `consume` is to find; its own speed is of no interest. */
async function store(work: Task): Promise<Measurement> {
  const meter = new Meter(Infinity, 0);
  const producer = connection.producer(work.queue, { durable: work.durable });
  const body = bodyOf(work);
  // `artemis perf consumer` takes its latency from this, and gives a message back that has none.
  const properties = { time: typed.long(BigInt(Date.now()) * 1_000n) };
  let left = work.storedCount;
  const sendInTurn = async (): Promise<void> => {
    while (left-- > 0) await producer.send(body, { properties });
  };
  await Promise.all(Array.from({ length: work.inFlight }, sendInTurn));
  return meter.result();
}

/** Takes stored messages and acknowledges each; a message is over when the broker has that safe. */
async function measureConsumption(work: Task): Promise<Measurement> {
  const consumer = connection.consumer(work.queue);
  const acknowledgements = new InFlight(work.inFlight);
  const take = async (meter: Meter, countMax: number): Promise<void> => {
    for (let count = 0; count < countMax && !meter.isOver(); count++) {
      const message = await consumer.receive({ timeout: 1_000 });
      if (message === null) break;
      const startedMs = performance.now();
      await acknowledgements.add(message.ack(), () => meter.record(startedMs));
    }
  };
  const warmUpCount = Math.floor(work.storedCount * warmUpShare);
  await take(new Meter(work.seconds), warmUpCount);
  const meter = new Meter(work.seconds, 0);
  await take(meter, Infinity);
  const measured = meter.result();
  await acknowledgements.ended();
  await consumer.close();
  return measured;
}

/** One message at a time, from before `send` until a waiting consumer has it. */
async function measureLatency(work: Task): Promise<Measurement> {
  const meter = new Meter(work.seconds);
  const body = bodyOf(work);
  const producer = connection.producer(work.queue, { durable: work.durable });
  const consumer: Consumer = connection.consumer(work.queue);
  while (!meter.isOver()) {
    const startedMs = performance.now();
    const sent = producer.send(body);
    const message = await consumer.receive({ timeout: 10_000 });
    if (message === null) throw new Error("the message did not come");
    meter.record(startedMs);
    await Promise.all([sent, message.ack()]);
  }
  const measured = meter.result();
  await consumer.close();
  return measured;
}

function bodyOf({ size }: Task): Uint8Array {
  return new Uint8Array(size).fill(120);
}
