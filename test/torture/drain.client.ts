import { join } from "node:path";

import { connectPatiently } from "./connect-patiently.ts";
import { HistoryFile } from "./history-file.ts";
import { drainConsumer, readPlan } from "./plan.ts";
import { Recorder } from "./recorder.ts";

/** Settlements under way at once: one at a time a slow disk takes longer for what is left than the run took. */
const settlingCountMax = 1_000;

/** Takes out what is left in the queues, and writes that down as well: `node drain.client.js FOLDER URL`. */
const [folder = "", url = ""] = process.argv.slice(2);
const plan = readPlan(folder);
const file = new HistoryFile(join(folder, "drain.history"));
const recorder = new Recorder(plan.processCount, file.write);
const connection = await connectPatiently(url);
let count = 0;
for (const [queue, { name }] of plan.queues.entries()) {
  const consumer = connection.consumer(name);
  let settling: Promise<unknown>[] = [];
  for (;;) {
    // The broker itself says whether there is another one.
    const message = await consumer.receive({ timeout: 0 });
    if (message === null) break;
    const place = { queue, consumer: drainConsumer(plan), transaction: 0 };
    const delivery = recorder.delivery(message, place);
    settling.push(recorder.settle(delivery, "ack", () => message.ack()));
    count += 1;
    if (settling.length < settlingCountMax) continue;
    await Promise.all(settling);
    settling = [];
  }
  await Promise.all(settling);
  await consumer.close();
}
await connection.close();
recorder.finish();
file.close();
process.send?.(count);
