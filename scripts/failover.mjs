/**
 * Connections that break at every frame and brokers that die, in full. `npm test` and
 * `npm run interop -- failover` do a part of it. Needs Java 17 and Maven.
 *
 *   npm run failover                       everything, one after the other
 *   npm run failover -- artemis            all whose names begin so
 *   npm run failover -- everhold-silence   one of them
 *   npm run failover -- --list             the names
 *
 * Says every ten seconds how far it is, and at the end what it came to.
 */
import { runSuites } from "./suites.mjs";

const columns = [
  ["exchanges", "exchanges"],
  ["cuts", "cuts"],
  ["kills", "kills"],
  ["broken promises", "broken"],
  ["calls in doubt", "inDoubt"],
  ["longest outage, ms", "longestOutageMs"],
  ["seconds", "seconds"],
];

await runSuites({
  command: "failover",
  folder: "failover",
  fileTimeoutMs: 3_600_000,
  showsProgress: true,
  summarize,
});

/** A table: a row for each figure, and one for all of them. An outage is what our clients had, noticed until over. */
function summarize(figures) {
  const total = { figure: "total" };
  for (const [, key] of columns) {
    const values = figures.map((figure) => figure[key] ?? 0);
    total[key] =
      key === "longestOutageMs" ? Math.max(0, ...values) : values.reduce((a, b) => a + b, 0);
  }
  const rows = [...figures, total].map((figure) => [
    figure.figure,
    ...columns.map(([, key]) => String(figure[key] ?? "-")),
  ]);
  const table = [["", ...columns.map(([title]) => title)], ...rows];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  return table.map(([first, ...rest]) =>
    [first.padEnd(widths[0]), ...rest.map((cell, index) => cell.padStart(widths[index + 1]))].join(
      "  ",
    ),
  );
}
