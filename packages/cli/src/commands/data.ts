import type { Command } from "commander";
import { verifyData, type VerifyReport } from "everhold";

import type { CommandContext } from "../command-context.ts";
import { exitCodes } from "../exit-codes.ts";
import { formatBytes, formatCount, ProgressBar } from "../terminal/progress-bar.ts";
import { writeJson, type Terminal } from "../terminal/terminal.ts";
import { fillText } from "./fill-text.ts";

/** `everhold data verify`: reads a whole data folder and says whether it is sound. */
export function addDataCommand(program: Command, { terminal }: CommandContext): void {
  const data = program.command("data").description("look after a data folder, its broker stopped");
  data
    .command("verify [folder]")
    .description("check every byte of a data folder, ./everhold-data by default; changes nothing")
    .action(async (folder: string = "everhold-data") => {
      const report = await verifyWithProgress(terminal, folder);
      if (terminal.json) await writeJson(terminal, report);
      else await print(terminal, folder, report);
      if (!report.isSound) process.exitCode = exitCodes.failure;
    });
}

async function verifyWithProgress(terminal: Terminal, folder: string): Promise<VerifyReport> {
  let bar: ProgressBar | undefined;
  try {
    return await verifyData(folder, (checkedBytes, total) => {
      bar ??= new ProgressBar(terminal, { label: "verifying", total, format: formatBytes });
      bar.update(checkedBytes);
    });
  } finally {
    bar?.clear();
  }
}

async function print(terminal: Terminal, folder: string, report: VerifyReport): Promise<void> {
  const { segmentCount, batchCount, recordCount, snapshots, problems, endPosition } = report;
  const lines = [
    ...problems.map(({ code, message }) => `${message} [${code}]`),
    `${folder}: ${report.isSound ? "sound" : "DAMAGED"}; ${formatCount(segmentCount)} segments, ` +
      `${formatCount(batchCount)} batches, ${formatCount(recordCount)} records, ` +
      `${formatCount(snapshots.length)} snapshots, ${formatBytes(endPosition)} of log`,
    ...fillText(folder, report.fillPartCount),
  ];
  await terminal.write(`${lines.join("\n")}\n`);
}
