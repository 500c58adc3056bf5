import { connect, type Connection, type Consumer, type Producer } from "everhold";

import { InFlight } from "./in-flight.ts";
import { Meter, warmUpShare } from "./meter.ts";
import { messagesMax, parseTask, type Measurement, type Task } from "./task.ts";

/** The load of each workload with the real client. */
const address = "bench";
/** Messages that `consume` finds in the queue for each second it is to run. */
const storedPerSecond = 100_000;
const storeInFlight = 4_096;

const task = parseTask(process.argv[2]);
const connection = await connect(task.url, { heartbeat: { ttl: 60_000 } });
process.send?.(await measure(task));
await connection.close();
process.disconnect();

function measure(work: Task): Promise<Measurement> {
  switch (work.workload) {
    case "send":
      return measureSends(work);
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
    const producer = each_.producer(address, { durable: work.durable });
    return Array.from({ length: each }, () => sendInTurn(producer));
  });
  await Promise.all(all);
  const measured = meter.result();
  await Promise.all(connections.map((other) => other.close()));
  return measured;
}

/** Takes stored messages and acknowledges each; a message is over when the broker has that safe. */
async function measureConsumption(work: Task): Promise<Measurement> {
  await store(
    connection,
    work,
    Math.min(messagesMax(work), Math.ceil(storedPerSecond * work.seconds * (1 + warmUpShare))),
  );
  const meter = new Meter(work.seconds);
  const consumer = connection.consumer(address);
  const acknowledgements = new InFlight(work.inFlight);
  while (!meter.isOver()) {
    const message = await consumer.receive({ timeout: 1_000 });
    if (message === null) break;
    const startedMs = performance.now();
    await acknowledgements.add(message.ack(), () => meter.record(startedMs));
  }
  const measured = meter.result();
  await acknowledgements.ended();
  await consumer.close();
  return measured;
}

/** One message at a time, from before `send` until a waiting consumer has it. */
async function measureLatency(work: Task): Promise<Measurement> {
  const meter = new Meter(work.seconds);
  const body = bodyOf(work);
  const producer = connection.producer(address, { durable: work.durable });
  const consumer: Consumer = connection.consumer(address);
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

async function store(to: Connection, work: Task, count: number): Promise<void> {
  const producer = to.producer(address, { durable: work.durable });
  const body = bodyOf(work);
  let left = count;
  const sendInTurn = async (): Promise<void> => {
    while (left-- > 0) await producer.send(body);
  };
  await Promise.all(Array.from({ length: storeInFlight }, sendInTurn));
}

function bodyOf({ size }: Task): Uint8Array {
  return new Uint8Array(size).fill(120);
}
