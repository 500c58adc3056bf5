import { formatCount } from "../terminal/progress-bar.ts";
import type { DemoEvent, DemoResult } from "./run-demo.ts";

/** A line of the demo's story: when it happened, and what. */
export function eventText(event: DemoEvent, elapsedMs: number): string {
  return `${(elapsedMs / 1_000).toFixed(1).padStart(7)} s  ${whatHappened(event)}`;
}

function whatHappened(event: DemoEvent): string {
  const { member } = event;
  switch (event.kind) {
    case "leads":
      return `${member} leads, ${event.backups.join(" and ")} in sync with it`;
    case "killed":
      return `${member} is killed`;
    case "took over":
      return `${member} leads: the first answer came ${formatCount(event.outageMs)} ms after the kill`;
    case "in sync":
      return `${member} follows, in sync ${(event.afterMs / 1_000).toFixed(1)} s after its new start`;
  }
}

/** What came of it all, for people. */
export function resultText(result: DemoResult): string {
  const { sent, received, lost, duplicated, redelivered, kills, left, seconds, equal } = result;
  const { outagesMs, journals } = result;
  const rows: readonly (readonly [string, string])[] = [
    ["sent", formatCount(sent)],
    ["received by stats", formatCount(received.stats)],
    ["received by archive", formatCount(received.archive)],
    ["lost", formatCount(lost)],
    ["duplicated", formatCount(duplicated)],
    ["redelivered, and marked so", formatCount(redelivered)],
    ["left in the queues", formatCount(left)],
    ["lives killed", formatCount(kills)],
    ["longest outage, ms", outagesMs.length === 0 ? "-" : formatCount(Math.max(...outagesMs))],
    ["seconds", seconds.toFixed(1)],
    ["same as the file", equal ? "yes" : "NO"],
    ["journals of all members", journals === "equal" ? journals : journals.toUpperCase()],
  ];
  return rows.map(([label, value]) => `  ${label.padEnd(28)}${value.padStart(10)}`).join("\n");
}

/** Whether every promise was kept. */
export function isGood(result: DemoResult): boolean {
  const { sent, received, lost, duplicated, left, equal, journals } = result;
  const isComplete = received.stats === sent && received.archive === sent && lost === 0;
  return isComplete && duplicated === 0 && left === 0 && equal && journals === "equal";
}
