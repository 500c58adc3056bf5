import { runRole } from "./role.ts";
import { Subscriber } from "./subscriber.ts";

await runRole(async (task) => {
  const subscriber = new Subscriber(task);
  process.on("message", () => subscriber.finish());
  await subscriber.run();
});
