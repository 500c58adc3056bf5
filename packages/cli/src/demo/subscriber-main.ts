import { runRole } from "./role.ts";
import { parseRoleOrder } from "./role-messages.ts";
import { Subscriber } from "./subscriber.ts";

await runRole(async (task) => {
  const subscriber = new Subscriber(task);
  process.on("message", (value) => {
    if (parseRoleOrder(value).kind === "finish") subscriber.finish();
  });
  await subscriber.run();
});
