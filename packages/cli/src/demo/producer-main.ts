import { connect } from "everhold";

import { limits } from "../limits.ts";
import { PendingWork } from "../terminal/pending-work.ts";
import { readFlights } from "./flights.ts";
import { answerWatch, runRole, tell } from "./role.ts";
import { parseRoleOrder, progressSteps } from "./role-messages.ts";
import { silentLog, topic } from "./demo-topic.ts";

/** The demo's producer: one durable message a flight, many under way, in order, as far as it is allowed to. */
await runRole(async ({ url, total }) => {
  let allowed = 0;
  let goOn: () => void = () => undefined;
  process.on("message", (value) => {
    const order = parseRoleOrder(value);
    if (order.kind === "allow") allowed = order.count;
    goOn();
  });
  const connection = await connect(url, { log: silentLog });
  const producer = connection.producer(topic, { routing: "multicast" });
  const noteAnswer = answerWatch(connection);
  const pending = new PendingWork(limits.sendsInFlightMax);
  const step = Math.max(1, Math.floor(total / progressSteps));
  let sent = 0;
  for (const [index, flight] of readFlights(total).entries()) {
    while (index >= allowed) {
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
    }
    const send = producer.send({ json: flight }, { properties: { index } }).then(() => {
      noteAnswer();
      sent++;
      if (sent % step === 0) tell({ kind: "progress", count: sent });
    });
    await pending.add(send);
  }
  await pending.settle();
  await connection.close();
  tell({ kind: "sent", count: sent });
});
