import { kinds, type KindReport, type RunReport } from "./runner.ts";

/** What came out of all seeds, for people. */
export function humanReport(report: RunReport, seconds: number): string {
  const lines = kinds.flatMap((kind) => {
    const one = report[kind];
    return one === undefined ? [] : kindLines(kind, one);
  });
  return [...lines, `in ${seconds.toFixed(1)} s`].join("\n");
}

function kindLines(kind: string, report: KindReport): string[] {
  const recorded = report.recorded === 0 ? "" : `, ${report.recorded} of them recorded ones`;
  const lines = [
    `${kind}: ${report.seeds} seeds in ${(report.realMs / 1000).toFixed(1)} s${recorded}; the next is ${report.next}`,
    `  simulated   ${(report.simulatedMs / 3_600_000).toFixed(2)} hours, ${report.events.toLocaleString("en-US")} events`,
    ...rows("counts", report.counts),
    ...rows("faults", report.faults),
    `  failures    ${report.failures.length}`,
  ];
  for (const { seed, problems } of report.failures) {
    lines.push(`  seed ${seed}: ${problems[0] ?? ""}`);
    if (problems.length > 1) lines.push(`    and ${problems.length - 1} more`);
  }
  return lines;
}

function rows(label: string, counts: Readonly<Record<string, number>>): string[] {
  const sorted = Object.entries(counts).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([name, count], index) => {
    const words = index === 0 ? label : "";
    return `  ${words.padEnd(12)}${name.padEnd(32)}${String(count).padStart(9)}`;
  });
}
