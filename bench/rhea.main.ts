import rhea, { type EventContext } from "rhea";

import { Meter, warmUpShare } from "./meter.ts";
import { parseTask, type Measurement, type Task } from "./task.ts";

/** Messages that the broker may send ahead: 1 MiB of 1 KiB each, as our client has it by default. */
const creditWindow = 1_024;

/** The load of `send` and `consume` with rhea, an AMQP 1.0 client, in place of ours. */
const task = parseTask(process.argv[2]);
const { hostname, port } = new URL(task.url);
const connection = rhea.connect({
  host: hostname,
  port: Number(port),
  username: "admin",
  password: "admin",
  reconnect: false,
});
for (const event of ["connection_error", "session_error", "sender_error", "receiver_error"]) {
  connection.on(event, () => {
    throw new Error(`rhea met a ${event}`);
  });
}
process.send?.(await measure(task));
connection.close();
process.disconnect();

function measure(work: Task): Promise<Measurement> {
  if (work.workload === "send") return measureSends(work);
  if (work.workload === "consume") return measureConsumption(work);
  throw new Error(`rhea has no part in ${work.workload}`);
}

/** Sends with so many in flight; a send is over when the broker has accepted it. */
function measureSends(work: Task): Promise<Measurement> {
  const meter = new Meter(work.seconds);
  const sender = connection.open_sender({
    target: { address: work.queue, capabilities: ["queue"] },
  });
  const body: unknown = rhea.message.data_section(Buffer.alloc(work.size, 120));
  const started = new Map<number, number>();
  return new Promise((resolve, reject) => {
    const sendSome = (): void => {
      while (started.size < work.inFlight && sender.sendable() && !meter.isOver()) {
        const startedMs = performance.now();
        started.set(sender.send({ durable: work.durable, body }).id, startedMs);
      }
      if (meter.isOver() && started.size === 0) resolve(meter.result());
    };
    sender.on("sendable", sendSome);
    sender.on("accepted", ({ delivery }: EventContext) => {
      if (delivery === undefined) return;
      meter.record(started.get(delivery.id) ?? 0);
      started.delete(delivery.id);
      sendSome();
    });
    sender.on("rejected", () => {
      reject(new Error("the broker rejected a message"));
    });
  });
}

/** Takes stored messages and accepts each, of which AMQP tells no more: a message is over then. */
function measureConsumption(work: Task): Promise<Measurement> {
  const warmUpCount = Math.floor(work.storedCount * warmUpShare);
  let meter: Meter | undefined;
  let count = 0;
  let isOver = false;
  const receiver = connection.open_receiver({
    source: { address: work.queue, capabilities: ["queue"] },
    credit_window: creditWindow,
    autoaccept: false,
  });
  return new Promise((resolve) => {
    receiver.on("message", ({ delivery }: EventContext) => {
      // What comes behind the end stays in the queue.
      if (isOver) return;
      delivery?.accept();
      count++;
      if (count === warmUpCount) meter = new Meter(work.seconds, 0);
      meter?.record(performance.now());
      isOver = meter?.isOver() === true || count === work.storedCount;
      if (isOver && meter !== undefined) resolve(meter.result());
    });
  });
}
