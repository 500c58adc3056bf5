/** Makes docs/CURATOR.md from what `npm run curator` recorded, the scenarios, and the table of features. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** Times that a run has, in the order of the rows. */
const times = [
  ["nodeGoneMs", "The ephemeral node of its session was gone"],
  ["ledUntilMs", "Its answer to whether it leads became no"],
  ["ledAgainMs", "It became yes again"],
  ["rivalLedMs", "That of its rival became yes"],
  ["heldBackMs", "The node that comes back by itself was there again"],
];

const clients = ["curator", "everhold"];

/**
 * The document.
 *
 * @throws Error when a scenario was not recorded, or a feature names an export that is not there
 */
export async function curatorDocument(root) {
  const folder = join(root, "test", "zookeeper");
  const load = (...path) => import(pathToFileURL(join(root, ...path)).href);
  const { scenarios, sessionTimeoutMs } = await load(
    ...["test", "zookeeper", "dist", "curator", "scenarios.js"],
  );
  const features = await load("test", "zookeeper", "dist", "curator", "features.js");
  const exports = await load("packages", "zookeeper", "dist", "index.js");
  const results = JSON.parse(readFileSync(join(folder, "curator", "results.json"), "utf8"));
  return [
    "# Beside Apache Curator",
    "",
    "Apache Curator is what ZooKeeper's users on Java rely on, and where the words of our client come from. Here both are",
    "put under the same faults at the same moment, and their features side by side.",
    "",
    ...howItWasMade(results, sessionTimeoutMs),
    ...scenarios.flatMap((scenario) => scenarioLines(scenario, results.scenarios[scenario.id])),
    "",
    "### A chroot that does not exist",
    "",
    "The connect string ends with a path that nobody has made. Both connect; what calls are answered:",
    "",
    ...table(
      ["", "Curator", "Everhold"],
      Object.keys(results.wrongChroot.curator).map((call) => [
        call,
        ...clients.map((client) => `\`${results.wrongChroot[client][call]}\``),
      ]),
    ),
    "",
    "## Features",
    "",
    "The list is Curator's. An empty cell is something that is not there.",
    ...features.featureGroups.flatMap((group) => featureLines(group, exports)),
    "",
    "## Good to know of Curator",
    "",
    ...features.curatorFacts.map(({ fact, source }) => `- ${fact} (${source})`),
  ].join("\n");
}

function howItWasMade({ versions, scenarios }, sessionTimeoutMs) {
  const runs = Math.max(...Object.values(scenarios).map(({ length }) => length));
  return [
    "## Under faults",
    "",
    `Curator ${versions.curator} on Java ${versions.java} and our client on Node ${versions.node}, each in a process of its own, on one`,
    `ensemble of three servers, ZooKeeper ${versions.zookeeper} with a tick of 500 ms. Both are connected to the same follower through`,
    `proxies; sessions last ${sessionTimeoutMs / 1_000} s where nothing else is said. Each leads something, for which a rival of its own kind waits at`,
    "the other servers; holds an ephemeral node that comes back by itself (`PersistentNode`, `client.hold()`) and one that",
    "does not; and has a watch that tells once and one that stays (`PersistentWatcher`, `client.watch()`). Leadership is",
    "`LeaderLatch` of either, Curator's with its default policy; both are asked every 10 ms.",
    "",
    `Times are milliseconds after the fault, ${runs === 1 ? "of one run" : `medians of ${runs} runs`}, on a machine with two cores that had other work to do, so`,
    "that they are good for comparing the two in a row, not for more. *Both led* is for how long a client and its rival both",
    "said that they led. Watches were tried by a change after everything was whole again. `npm run curator` plays all of it",
    "anew and writes `test/zookeeper/curator/results.json`, which `npm run docs` makes this page from.",
  ];
}

function scenarioLines({ id, title, text }, runs) {
  if (runs === undefined) throw new Error(`scenario ${id} was not recorded: npm run curator`);
  const cells = (cellOf) => clients.map((client) => cellOf(runs.map((run) => run[client])));
  const rows = [
    ["Told", ...cells(toldCell)],
    ...times.map(([key, title_]) => [title_, ...cells((each) => timeCell(each, key))]),
    ["Both led, ms", ...cells((each) => number(median(each.map(({ bothLedMs }) => bothLedMs))))],
    ["The watch that tells once still told", ...cells((each) => yesCell(each, "onceTold"))],
    ["The watch that stays still told", ...cells((each) => yesCell(each, "keptTold"))],
    ...Object.keys(runs[0].curator.answers).map((call) => [
      `A ${call} in the middle of it`,
      ...cells((each) => [...new Set(each.map(({ answers }) => answers[call]))].join(", or ")),
    ]),
  ];
  const told = rows.filter(([, ...values]) => values.some((value) => value !== "–"));
  return ["", `### ${title}`, "", text, "", ...table(["", "Curator", "Everhold"], told)];
}

/** The states that most runs have in common, each with its median, and what other runs were told. */
function toldCell(runs) {
  const groups = new Map();
  for (const { states } of runs) {
    const key = states.map(({ state }) => state).join("; ");
    groups.set(key, [...(groups.get(key) ?? []), states]);
  }
  const [most, ...others] = [...groups].toSorted(([, one], [, other]) => other.length - one.length);
  const [key, same] = most;
  const text = same[0]
    .map(({ state }, index) => `${state} ${number(median(same.map((each) => each[index].ms)))}`)
    .join("; ");
  const rest = others.map(
    ([name, { length }]) => `; in ${length} of ${runs.length} runs ${name || "nothing"}`,
  );
  return (key === "" ? "nothing" : text) + rest.join("");
}

function timeCell(runs, key) {
  const values = runs.flatMap((run) => run[key] ?? []);
  if (values.length === 0) return "–";
  const count =
    values.length === runs.length ? "" : ` (in ${values.length} of ${runs.length} runs)`;
  return number(median(values)) + count;
}

function yesCell(runs, key) {
  const { length } = runs.filter((run) => run[key]);
  if (length === runs.length) return "yes";
  return length === 0 ? "no" : `in ${length} of ${runs.length} runs`;
}

function featureLines({ title, features }, exports) {
  for (const { curator, exports: names = [] } of features) {
    const missing = names.filter((name) => !(name in exports));
    if (missing.length > 0) throw new Error(`${curator}: ${missing.join(", ")} is not exported`);
  }
  const rows = features.map(({ curator, here = "" }) => [curator, here]);
  return ["", `### ${title}`, "", ...table(["Curator", "Everhold"], rows)];
}

function median(values) {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length / 2;
  return Math.round((sorted[Math.floor(middle)] + sorted[Math.ceil(middle) - 1]) / 2);
}

function number(value) {
  return value.toLocaleString("en-US");
}

function table(heads, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)];
}
