import { readFileSync } from "node:fs";

/** Linux tells the time of processes in hundredths of a second, whatever its own clock does. */
const msPerTick = 10;

/** CPU time that a process has used, in user mode and in the system, in ms; `undefined` where /proc is not. */
export function processCpuMs(pid: number): number | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    // Another system than Linux, or the process has ended: there is nothing to tell.
    return undefined;
  }
  // Fields 14 and 15, counted behind the name, which may hold anything.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * msPerTick;
}
