/**
 * Writes the documents that are made from the code: CURATOR.md, DELIVERY.md, ERRORS.md, FAILOVER.md, LIMITS.md,
 * MANAGEMENT.md, PROTOCOL.md and SETTINGS.md in `docs/`.
 * It reads the compiled packages, so build first.
 *
 *   npm run docs                       writes them
 *   node scripts/docs.mjs --check      exits with 1 and names the ones that are stale
 */
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { curatorDocument } from "./curator-document.mjs";
import { deliveryDocument } from "./delivery-document.mjs";
import { failoverDocument } from "./failover-document.mjs";
import { limitsOf } from "./limits-of.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const generatedNote = "<!-- Made by `npm run docs`; do not edit. -->\n\n";
const documents = [
  { name: "CURATOR.md", make: () => curatorDocument(root) },
  { name: "DELIVERY.md", make: () => deliveryDocument(root) },
  { name: "ERRORS.md", make: errorsDocument },
  { name: "FAILOVER.md", make: () => failoverDocument(root) },
  { name: "LIMITS.md", make: limitsDocument },
  { name: "MANAGEMENT.md", make: managementDocument },
  { name: "PROTOCOL.md", make: protocolDocument },
  { name: "SETTINGS.md", make: settingsDocument },
];

const stale = [];
for (const { name, make } of documents) {
  const text = `${generatedNote}${(await make()).trimEnd()}\n`;
  const file = join(root, "docs", name);
  if (existsSync(file) && readFileSync(file, "utf8") === text) continue;
  if (process.argv.includes("--check")) stale.push(`docs/${name}`);
  else writeFileSync(file, text);
}
if (stale.length > 0) {
  process.stderr.write(`${stale.join(", ")}: stale; write anew with \`npm run docs\`\n`);
  process.exitCode = 1;
}

async function errorsDocument() {
  const { errorCodes } = await importCompiled("base", "index.js");
  const { zooKeeperErrors } = await importCompiled("zookeeper-core", "index.js");
  const reasons = Object.entries(zooKeeperErrors).map(([reason, entry]) => [
    `\`${reason}\``,
    reason === "UNKNOWN" ? "" : String(entry.number),
    entry.retryable ? "yes" : "no",
    entry.meaning,
  ]);
  const rows = Object.entries(errorCodes)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([code, entry]) => [
      `\`${code}\``,
      entry.retryable ? "yes" : "no",
      entry.coreCode === undefined ? "" : String(entry.coreCode),
      entry.meaning,
    ]);
  return [
    "# Errors",
    "",
    "Every error that Everhold throws or rejects with is an `EverholdError`. Branch on its `code`, never",
    "on its message. `retryable` says whether the same call may succeed later without anybody changing",
    "anything. `outcome` says whether the operation may have taken effect: `none`, `applied` or `unknown`.",
    "The CORE code is what travels in an EXCEPTION packet.",
    "",
    ...table(["Code", "Retryable", "CORE code", "Meaning"], rows),
    "",
    "## ZooKeeper's reasons",
    "",
    "A `ZooKeeperError` has ZooKeeper's own name of what happened as its `reason`, and the number as `errorNumber`.",
    "With `EVH_ZOOKEEPER` it is the reason that says whether it is `retryable`.",
    "",
    ...table(["Reason", "Number", "Retryable", "Meaning"], reasons),
  ].join("\n");
}

async function limitsDocument() {
  const lines = [
    "# Limits",
    "",
    "Everything that could grow has a limit: what it counts, and what happens when it is hit.",
  ];
  for (const name of readdirSync(join(root, "packages")).toSorted()) {
    const rows = await limitRows(name);
    if (rows.length > 0)
      lines.push("", `## ${name}`, "", ...table(["Limit", "Value", "Meaning"], rows));
  }
  return lines.join("\n");
}

/** The rows of a package: of its `limits.ts`, and of what a part of it keeps beside its code. */
async function limitRows(packageName) {
  const folder = join(root, "packages", packageName, "src");
  const rows = [];
  for (const file of readdirSync(folder, { recursive: true }).toSorted()) {
    if (!/(^|[-/\\])limits\.ts$/.test(file)) continue;
    const values = await importCompiled(packageName, file.replace(/\.ts$/, ".js"));
    const name = `packages/${packageName}/src/${file}`;
    for (const limit of limitsOf(readFileSync(join(folder, file), "utf8"), values, name)) {
      rows.push([`\`${limit.name}\``, limit.value, limit.meaning]);
    }
  }
  return rows;
}

async function managementDocument() {
  const broker = await importCompiled("broker", "index.js");
  return broker.managementDocument();
}

async function protocolDocument() {
  const wire = await importCompiled("wire", "index.js");
  return wire.protocolDocument();
}

async function settingsDocument() {
  const broker = await importCompiled("broker", "index.js");
  return broker.settingsDocument();
}

function importCompiled(packageName, file) {
  return import(pathToFileURL(join(root, "packages", packageName, "dist", file)).href);
}

function table(heads, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)];
}
