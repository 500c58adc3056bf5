import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

import { parseMeasurement, type Measurement, type Task } from "./task.ts";

const storeInFlight = 4_096;

/** A load generator: the program `<name>.main.ts`. */
export type GeneratorName = "client" | "raw" | "rhea";

/** Runs a load generator in a process of its own. @throws Error when it ends without a result */
export function generate(name: GeneratorName, task: Task): Promise<Measurement> {
  const program = fileURLToPath(new URL(`./${name}.main.js`, import.meta.url));
  const child = fork(program, [JSON.stringify(task)]);
  return new Promise((resolve, reject) => {
    let result: Measurement | undefined;
    child.once("message", (value) => {
      result = parseMeasurement(value);
    });
    // Its end is waited for: what comes next has the machine for itself.
    child.once("exit", (code) => {
      if (result !== undefined) resolve(result);
      else reject(new Error(`the load generator ended with ${String(code)}`));
    });
  });
}

/** The name of a queue that nothing has used yet. */
export function nextQueue(): string {
  queueCount++;
  return `bench-${queueCount}`;
}

let queueCount = 0;

/** Fills a queue, with our client. */
export async function storeMessages(
  task: Pick<Task, "url" | "queue" | "size" | "storedCount" | "durable">,
): Promise<void> {
  const load = { producers: 1, inFlight: storeInFlight, seconds: 0 };
  await generate("client", { ...task, ...load, workload: "store" });
}
