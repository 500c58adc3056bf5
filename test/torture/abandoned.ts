/** Starts what a run has of its own, says their processes, one a line, and waits to be killed: see `leash.test.ts`. */
import { join } from "node:path";
import { writeFileSync } from "node:fs";

import { GroupProcesses } from "#group/group-processes.js";
import { until } from "#group/until.js";
import { runTool } from "#run-tool";

import { TortureBroker } from "./torture-broker.ts";

const [folder = ""] = process.argv.slice(2);

function say(pid: number | undefined): void {
  process.stdout.write(`${pid ?? "none"}\n`);
}

const { members } = await GroupProcesses.make(["anna"], 1);
for (const member of members) {
  member.start();
  await until(
    "a member that serves",
    () => member.isServing,
    () => member.lines.join("\n"),
  );
  member.signal("SIGSTOP");
  say(member.pid);
}
const config = join(folder, "broker.json");
writeFileSync(config, "{}");
const broker = new TortureBroker(join(folder, "data"), config);
await broker.start();
say(broker.pid);
const script = "process.stdout.write(`${process.pid}\\n`); setInterval(() => undefined, 60_000);";
await runTool(process.execPath, ["-e", script], {
  onStdout: (text) => process.stdout.write(text),
  timeoutMs: 3_600_000,
});
