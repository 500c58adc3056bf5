import { connect } from "everhold";

import { limits } from "../limits.ts";
import { PendingWork } from "../terminal/pending-work.ts";
import { readFlights } from "./flights.ts";
import { runRole, tell } from "./role.ts";
import { progressSteps } from "./role-messages.ts";
import { silentLog, topic } from "./demo-topic.ts";

/** The demo's producer: one durable message a flight, many under way, in order. */
await runRole(async ({ url, total }) => {
  const connection = await connect(url, { log: silentLog });
  const producer = connection.producer(topic, { routing: "multicast" });
  const pending = new PendingWork(limits.sendsInFlightMax);
  const step = Math.max(1, Math.floor(total / progressSteps));
  let sent = 0;
  for (const [index, flight] of readFlights(total).entries()) {
    const send = producer.send({ json: flight }, { properties: { index } }).then(() => {
      sent++;
      if (sent % step === 0) tell({ kind: "progress", count: sent });
    });
    await pending.add(send);
  }
  await pending.settle();
  await connection.close();
  tell({ kind: "sent", count: sent });
});
