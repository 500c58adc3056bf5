import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Arguments } from "./arguments.ts";
import { addReports, kinds, type RunReport } from "./runner.ts";

const run = promisify(execFile);

/** Bytes of one process's report. */
const reportBytesMax = 64 * 1024 * 1024;

/** Has several processes do a part of the seeds each, at the same time. @throws Error when one of them fails */
export async function runInProcesses({
  plan,
  processes,
  replayKind,
}: Arguments): Promise<RunReport> {
  const present = kinds.filter((kind) => plan.rows[kind] !== undefined);
  const starts = present.map((kind) => plan.rows[kind]?.first ?? 1);
  const common = [
    ...(present.length === 1 ? ["--kind", replayKind] : []),
    ...(Number.isFinite(plan.realMsMax) ? ["--minutes", String(plan.realMsMax / 60_000)] : []),
    ...(Number.isFinite(plan.count) ? ["--seeds", String(Math.ceil(plan.count / processes))] : []),
    ...(plan.mutation === undefined ? [] : ["--mutate", plan.mutation]),
    ...(plan.ruleMutation === undefined ? [] : ["--mutate", plan.ruleMutation]),
    ...(plan.mistake === undefined ? [] : ["--mutate", plan.mistake]),
    ...(plan.groupMistake === undefined ? [] : ["--mutate", plan.groupMistake]),
    "--starts",
    starts.join(","),
    "--json",
  ];
  const main = new URL("./main.js", import.meta.url).pathname;
  const parts = Array.from({ length: processes }, async (_, part) => {
    const words = [main, ...common, "--part", `${part}/${processes}`];
    const { stdout } = await run(process.execPath, words, { maxBuffer: reportBytesMax });
    const report: unknown = JSON.parse(stdout);
    if (isReport(report)) return report;
    throw new Error(`a part of the simulation reported ${stdout.slice(0, 200)}`);
  });
  return addReports(await Promise.all(parts));
}

function isReport(value: unknown): value is RunReport {
  if (typeof value !== "object" || value === null) return false;
  return kinds.some((kind) => kind in value);
}
