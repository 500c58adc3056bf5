/** Starts a server, says its process and its folder, and waits to be killed: for the suite that looks what stays. */
import { Ensemble } from "./ensemble.ts";

const ensemble = await Ensemble.start({ version: "3.9.5", size: 1 });
for (const { pid, folder } of ensemble.servers) process.stdout.write(`${pid} ${folder}\n`);
setInterval(() => undefined, 60_000);
