import { figureNames, figures, type Comparison, type Figures } from "./comparison.ts";

/** One comparison as JSON on a line, or as a table: a line for each contestant, then its ratios. */
export function printComparison(comparison: Comparison, json: boolean): void {
  process.stdout.write(json ? `${JSON.stringify(comparison)}\n` : `${tableOf(comparison)}\n\n`);
}

function tableOf({ scenario, rounds, results }: Comparison): string {
  const names = figureNames().filter((name) => results.some(({ median }) => name in median));
  const columnsOf = (values: Figures): string[] =>
    names.map((name) => {
      const value = values[name];
      return value === undefined
        ? "–"
        : value.toLocaleString("en-US", { maximumFractionDigits: 3 });
    });
  const first = results[0]?.name ?? "";
  const rows = [
    ["", ...names.map((name) => figures[name].title)],
    ["", ...names.map((name) => figures[name].unit)],
    ...results.map(({ name, median }) => [name, ...columnsOf(median)]),
    ...results.slice(1).map(({ name, ratio }) => [`${name} / ${first}`, ...columnsOf(ratio)]),
  ];
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  "),
  );
  return [`${scenario} (medians of ${rounds} rounds)`, ...lines].join("\n");
}
