import { setTimeout as sleep } from "node:timers/promises";
import { EverholdError } from "@everhold/base";
import type { Command } from "commander";
import { compareData, type DataComparison } from "everhold";

import type { CommandContext } from "../command-context.ts";
import { exitCodes } from "../exit-codes.ts";
import { formatBytes } from "../terminal/progress-bar.ts";
import { writeJson, type Terminal } from "../terminal/terminal.ts";
import { UsageError } from "../usage-error.ts";
import { fillText } from "./fill-text.ts";
import { askMonitor, type MemberReport } from "./member-report.ts";

/** How long a hand-over is waited for, in ms: longer than a group tries. */
const handOverMsMax = 20_000;
const lookAgainMs = 50;
const defaultMonitor = "http://127.0.0.1:8161";

interface MonitorFlags {
  readonly monitors?: string;
}

interface FailoverFlags extends MonitorFlags {
  readonly to?: string;
  readonly token?: string;
}

interface PromoteFlags {
  readonly token?: string;
  readonly yesLoseData?: boolean;
}

/** `everhold ha`: what the members of a group are, and who leads. */
export function addHaCommand(program: Command, { terminal, environment }: CommandContext): void {
  const ha = program.command("ha").description("look after a replication group");
  const monitorsFlag = [
    "--monitors <urls>",
    `the members' monitors, separated by commas; default $EVERHOLD_MONITORS or ${defaultMonitor}`,
  ] as const;
  const urlsOf = ({ monitors }: MonitorFlags): readonly string[] =>
    readUrls(monitors ?? environment["EVERHOLD_MONITORS"] ?? defaultMonitor);
  ha.command("status")
    .description("what each member is, and whether the group is as it should be")
    .option(...monitorsFlag)
    .action(async (flags: MonitorFlags) => {
      const reports = await Promise.all(urlsOf(flags).map((url) => askMonitor(url)));
      const verdict = judge(reports);
      if (terminal.json) await writeJson(terminal, { ...verdict, members: reports });
      else {
        const lines = [table(reports), verdict.summary, ...verdict.problems];
        await terminal.write(`${lines.join("\n")}\n`);
      }
      if (!verdict.ok) process.exitCode = exitCodes.failure;
    });
  ha.command("members")
    .description("the names of the members that answer, one a line")
    .option(...monitorsFlag)
    .action(async (flags: MonitorFlags) => {
      const reports = await Promise.all(urlsOf(flags).map((url) => askMonitor(url)));
      for (const report of reports) {
        if (terminal.json) await writeJson(terminal, report);
        else if (report.status !== undefined) {
          await terminal.write(`${report.status.id} ${report.status.role} ${report.url}\n`);
        }
      }
      if (reports.some(({ status }) => status === undefined)) process.exitCode = exitCodes.failure;
    });
  ha.command("compare <folders...>")
    .description(
      "whether the journals in data folders of members are the same; the members stopped",
    )
    .action(async (folders: readonly string[]) => {
      const comparison = await compareData(folders);
      if (terminal.json) await writeJson(terminal, comparison);
      else await terminal.write(`${comparisonText(comparison)}\n`);
      if (comparison.verdict === "different") process.exitCode = exitCodes.failure;
    });
  ha.command("promote-uncleanly <monitor>")
    .description("have a backup lead that is not in sync: what it lacks is lost for good")
    .option("--token <text>", "its monitor's token; better given in $EVERHOLD_MONITOR_TOKEN")
    .option("--yes-lose-data", "without it, only says what would be lost")
    .action(async (monitor: string, flags: PromoteFlags) => {
      const token = flags.token ?? environment["EVERHOLD_MONITOR_TOKEN"] ?? "";
      const [url = ""] = readUrls(monitor);
      await promote(terminal, url, token, flags.yesLoseData === true);
    });
  ha.command("failover")
    .description("have the live hand over to a member in sync, and wait until that serves")
    .option(...monitorsFlag)
    .option("--to <member>", "who is to lead; default any in sync")
    .option("--token <text>", "the monitors' token; better given in $EVERHOLD_MONITOR_TOKEN")
    .action(async (flags: FailoverFlags) => {
      const token = flags.token ?? environment["EVERHOLD_MONITOR_TOKEN"];
      if (token === undefined) {
        throw new UsageError("expected the monitors' token in $EVERHOLD_MONITOR_TOKEN or --token");
      }
      await failOver(terminal, urlsOf(flags), token, flags.to);
    });
}

/** An operator takes the loss: nobody who is in sync is left. */
async function promote(
  terminal: Terminal,
  url: string,
  token: string,
  isTaken: boolean,
): Promise<void> {
  const { status, problem } = await askMonitor(url);
  if (status === undefined)
    throw new EverholdError("EVH_NOT_CONNECTED", `${url}: ${problem ?? ""}`);
  const { id, node, inSync, endPosition } = status;
  if (!isTaken || node === undefined) {
    throw new UsageError(
      `${id} would lead with ${formatBytes(endPosition)} of journal (up to position ${endPosition}); in sync, and so with ` +
        `all that was answered, ${inSync.join(", ") || "nobody"} would be: what ${id} lacks of it is lost for good. Start ` +
        "one of those if you can. If you can not, and take the loss: --yes-lose-data",
    );
  }
  const query = new URLSearchParams({ created: node.created, version: String(node.version) });
  const startMs = performance.now();
  const response = await fetch(new URL(`/ha/promote-uncleanly?${query.toString()}`, url), {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
    signal: terminal.stop,
  });
  const answer: unknown = await response.json();
  if (response.status !== 202) throw refusedBy(url, answer);
  for (;;) {
    const { status: now } = await askMonitor(url);
    const milliseconds = Math.round(performance.now() - startMs);
    if (now?.isServing === true) {
      const told = { member: id, epoch: now.epoch, isUnclean: true, milliseconds };
      if (terminal.json) await writeJson(terminal, told);
      else await terminal.write(`${id} leads uncleanly since epoch ${now.epoch}\n`);
      return;
    }
    if (milliseconds > handOverMsMax) {
      throw new EverholdError(
        "EVH_TIMEOUT",
        `${id} does not lead after ${handOverMsMax} ms: see its log`,
      );
    }
    await sleep(lookAgainMs, undefined, { signal: terminal.stop });
  }
}

async function failOver(
  terminal: Terminal,
  urls: readonly string[],
  token: string,
  to: string | undefined,
): Promise<void> {
  const before = await Promise.all(urls.map((url) => askMonitor(url)));
  const live = before.find(({ status }) => status?.role === "live" && status.isServing);
  if (live === undefined) {
    throw new EverholdError("EVH_ILLEGAL_STATE", `no member leads: ${judge(before).summary}`);
  }
  const query = to === undefined ? "" : `?to=${encodeURIComponent(to)}`;
  const startMs = performance.now();
  const response = await fetch(new URL(`/ha/hand-over${query}`, live.url), {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
    signal: terminal.stop,
  });
  const answer: unknown = await response.json();
  if (response.status !== 202) throw refusedBy(live.url, answer);
  const chosen = field(answer, "to");
  for (;;) {
    const reports = await Promise.all(urls.map((url) => askMonitor(url)));
    const next = reports.find(({ status }) => status?.id === chosen && status.isServing);
    const milliseconds = Math.round(performance.now() - startMs);
    if (next?.status !== undefined) {
      const { epoch } = next.status;
      const told = { from: live.status?.id, to: chosen, epoch, milliseconds };
      if (terminal.json) await writeJson(terminal, told);
      else await terminal.write(`${chosen} leads since epoch ${epoch}, after ${milliseconds} ms\n`);
      return;
    }
    if (milliseconds > handOverMsMax) {
      throw new EverholdError(
        "EVH_TIMEOUT",
        `${chosen} does not lead after ${handOverMsMax} ms; ${judge(reports).summary}`,
      );
    }
    await sleep(lookAgainMs, undefined, { signal: terminal.stop });
  }
}

/** Whether the group is as it should be, in words. */
function judge(reports: readonly MemberReport[]): {
  readonly ok: boolean;
  readonly summary: string;
  readonly problems: readonly string[];
} {
  const problems: string[] = [];
  const known = reports.flatMap(({ status }) => status ?? []);
  for (const { url, problem } of reports) {
    if (problem !== undefined) problems.push(`${url}: ${problem}`);
  }
  // Who was deposed may not know it yet.
  const live = known
    .filter(({ role }) => role === "live")
    .toSorted((one, other) => other.epoch - one.epoch)[0];
  if (live === undefined) problems.push("nobody leads");
  else if (!live.isServing) problems.push(`${live.id} leads, and lets nobody in yet`);
  for (const { id, role, reason, fill } of known) {
    if (role === "stopped") problems.push(`${id} has stopped: ${reason ?? "see its log"}`);
    else if (fill !== undefined) {
      problems.push(
        `${id} is being filled up: ${formatBytes(fill.doneBytes)} of ${formatBytes(fill.totalBytes)}`,
      );
    } else if (live?.inSync.includes(id) === false) problems.push(`${id} is not in sync`);
  }
  const summary =
    live === undefined
      ? "nobody leads"
      : `${live.id} leads in epoch ${live.epoch}; in sync: ${live.inSync.join(", ")}`;
  return { ok: problems.length === 0, summary, problems };
}

function table(reports: readonly MemberReport[]): string {
  const inSync = reports.find(({ status }) => status?.role === "live")?.status?.inSync ?? [];
  const peers = reports.flatMap(({ status }) => status?.peers ?? []);
  const rows = reports.map(({ url, status }) => {
    if (status === undefined) return ["?", "no answer", "", "", "", "", url];
    const { id, role, epoch, endPosition, commitPosition } = status;
    const lag = peers.find((peer) => peer.id === id)?.lagBytes;
    return [
      id,
      role,
      inSync.includes(id) ? "yes" : "no",
      String(epoch),
      formatBytes(commitPosition),
      lag === undefined ? formatBytes(endPosition - commitPosition) : formatBytes(lag),
      url,
    ];
  });
  const all = [["MEMBER", "ROLE", "IN SYNC", "EPOCH", "COMMITTED", "LAG", "MONITOR"], ...rows];
  const widths = all[0]?.map((_, column) =>
    Math.max(...all.map((row) => row[column]?.length ?? 0)),
  );
  return all
    .map((row) =>
      row
        .map((text, column) => text.padEnd(widths?.[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function comparisonText({ verdict, commonPosition, folders }: DataComparison): string {
  const lines = folders.flatMap((data) => {
    const { folder, endPosition, endChain, epochs, recordCount, highestId, problems } = data;
    const starts = epochs.map(({ epoch, position }) => `${epoch}@${position}`).join(" ");
    const state = problems.length === 0 ? "" : `; DAMAGED: ${problems[0]?.message ?? ""}`;
    return [
      `${folder}: ends at ${endPosition}, chain ${endChain}, ${recordCount} records, highest id ${highestId}, ` +
        `epochs ${starts || "none"}${state}`,
      ...fillText(folder, data.fillPartCount),
    ];
  });
  const meanings = {
    equal: `equal: all end at ${commonPosition}, with the same chain value`,
    beginnings: `the shorter ones are beginnings of the longer ones: the same up to ${commonPosition}`,
    different: `DIFFERENT before position ${commonPosition}: ${folders
      .map(
        ({ folder, commonChain }) => `${folder} has ${commonChain ?? "no batch that ends there"}`,
      )
      .join(", ")}`,
  };
  return [...lines, meanings[verdict]].join("\n");
}

function readUrls(text: string): readonly string[] {
  return text.split(",").map((part) => {
    const url = part.trim();
    if (URL.canParse(url) && new URL(url).protocol === "http:") return url;
    throw new UsageError(
      `cannot use --monitors ${text}: found ${JSON.stringify(url)}, expected URLs such as ${defaultMonitor}`,
    );
  });
}

function refusedBy(url: string, answer: unknown): EverholdError {
  return new EverholdError(
    "EVH_REJECTED",
    `${url} refuses the hand-over: ${field(answer, "error")}`,
  );
}

function field(value: unknown, name: string): string {
  const isFound = typeof value === "object" && value !== null && name in value;
  return isFound ? String(Reflect.get(value, name)) : "no reason given";
}
