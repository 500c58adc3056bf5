/** Makes docs/FAILOVER.md from the tables of operations and scenarios, and the names of the tests that show them. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { testNames, testsById } from "./test-names.mjs";

/** A test that begins with the ids of scenarios: `F29, F30 what a transaction …`. */
const scenarioName = /^(F\d+b?(?:, F\d+b?)*) (.+)$/;

/**
 * The document.
 *
 * @throws Error when an operation or a scenario has no test, or names one that does not exist
 */
export async function failoverDocument(root) {
  const load = (name) =>
    import(pathToFileURL(join(root, "test", "integration", "dist", "failover", name)).href);
  const { operationRules } = await load("operations.js");
  const { failures, scenarioGroups, scenariosElsewhere } = await load("scenarios.js");
  const tests = new Tests(root);
  return [
    "# Failover",
    "",
    "What becomes of everything that an application does with our client when a connection breaks or a broker dies, and",
    "which test shows it. Made from test/integration/failover/operations.ts and scenarios.ts.",
    "",
    ...promises,
    "",
    "## Operations",
    "",
    "*Cut*: the connection breaks, the broker lives. *Restarted*: Everhold was killed with `kill -9`. *Artemis*: the live",
    "broker of a pair was killed and its backup serves, or Artemis was started again. Numbers name the tests below.",
    "",
    ...table(
      ["Operation", "Cut", "Restarted", "Artemis", "Tests"],
      operationRules.map((rule) => [
        rule.operation,
        rule.cut + (rule.open === undefined ? "" : `. **Not yet:** ${rule.open}`),
        rule.restarted,
        rule.artemis,
        rule.tests.map((name) => tests.number(name)).join(", "),
      ]),
    ),
    "",
    "## Scenarios",
    "",
    "Each runs with each of these failures, unless the table says why not:",
    "",
    ...Object.entries(failures).map(([name, text]) => `- *${name}*: ${text};`),
    "",
    "*cut* and *restart* belong to `npm test`, *pair* to `npm run failover -- scenarios`.",
    ...scenarioGroups.flatMap(({ title, scenarios }) => [
      "",
      `### ${title}`,
      "",
      ...table(
        ["", "What happens", ...Object.keys(failures), "Tests"],
        scenarios.map((scenario) => scenarioRow(scenario, Object.keys(failures), tests)),
      ),
    ]),
    "",
    "### Elsewhere",
    "",
    ...Object.entries(scenariosElsewhere).map(([scenario, why]) => `- ${scenario}: ${why};`),
    "",
    "## Every frame",
    "",
    ...everyFrame,
    "",
    "## Tests",
    "",
    ...tests.list(),
    ...tests.strangers(scenarioGroups),
  ].join("\n");
}

const promises = [
  "## What is promised",
  "",
  "For durable messages and a broker that keeps its disk, whatever breaks, however often:",
  "",
  "1. Every call settles. What it says is true: it took effect, it did not, or nobody can tell (`outcome`).",
  "2. What a settled `send()` or `commit()` has given to the broker is in its queue until somebody's settlement of it took effect.",
  "3. It is there once, however often it had to be sent.",
  "4. After an `ack()` that settled, or a `commit()` with it, it does not come again.",
  "5. Whatever comes again says so (`redelivered`). On Artemis this does not hold after a kill, nor for what was released as the connection broke, or together with others, and another consumer gets.",
  "6. A transaction takes effect whole or not at all, also where nobody can tell which.",
  "7. What is open goes on: producers, consumers, subscriptions, sessions, in the order of their sends. On Artemis what a transacted session held that the broker itself gave up, because it missed its client, may come behind what was sent after it.",
  "",
  "What is not promised:",
  "",
  "- anything for messages that are not durable, but that their loss is told;",
  "- that a message is shown once to two consumers: what one had and did not settle, another may get, marked;",
  "- that Everhold knows for ever who numbers commits: it remembers 100,000 producers at one time (`producersMax`). Once it has forgotten some, the first commit of a session that was open before that, and of a branch in one phase, may be `unknown` where its answer is lost;",
  "- that Artemis knows a repeated send for ever: it remembers `id-cache-size` (20,000) ids of an address, shared by all who send there. The client leaves at most 10,000 sends of a session unanswered;",
  "- that a repeat which overtakes its own delayed original on another connection is excluded on Artemis.",
];

const everyFrame = [
  "A scripted exchange (test/integration/failover/exchange.ts) does a little of everything: sends of each kind, messages",
  "acknowledged, released, taken in transactions that are committed and rolled back, large messages, requests, a durable",
  "subscription, a browse, a branch, a blocked receive. A proxy that knows frames breaks its connection before the n-th",
  "frame of one way, for every n; what the application was told, and what is left in the queues, is judged.",
  "",
  ...[
    [
      "`npm test`",
      "our client: before every frame; again in the return, in silence of both ways or one, with frames that arrive behind the return, and with kills at some",
    ],
    [
      "`npm run failover -- everhold`",
      "our client: before, after and inside every frame; again at every frame of the return; silence of both ways or one from some frame on; 40 kills with seven exchanges each",
    ],
    [
      "`npm run failover -- java`",
      "unmodified Java clients 2.31, 2.44 and 2.56 on Everhold: before and after every frame, with a confirmation window (they see nothing, but that they themselves refuse the rest of a large message whose connection closes between two of its parts) and without one, with duplicate ids; 20 kills",
    ],
    [
      "`npm run failover -- artemis`",
      "our client and Java's on a pair of Artemis 2.44 whose live broker is killed 20 times; our client before and after every frame on Artemis alone",
    ],
    ["`npm run failover -- scenarios`", "the scenarios above on the pair"],
    ["`npm run interop -- failover`", "a handful of all of this"],
  ].map(([command, what]) => `- ${command}: ${what};`),
  "",
  "Each group but the last two has parts that can be run alone, as `npm run failover -- everhold-silence`; `-- --list`",
  "names them. A table at the end says how many exchanges there were, promises broken and calls left in doubt.",
];

function scenarioRow({ id, scenario, except = {}, tests: named = [], open }, failures, tests) {
  const numbers = [...named, ...tests.namedAfter(id)].map((name) => tests.number(name));
  if (numbers.length === 0) throw new Error(`scenario ${id} has no test`);
  const text = scenario + (open === undefined ? "" : ` **Not yet:** ${open}`);
  const cells = failures.map((failure) => except[failure] ?? "yes");
  return [id, text, ...cells, [...new Set(numbers)].join(", ")];
}

/** Tests by number, in the order in which they are named first. */
class Tests {
  #known;
  #byId;
  #numbers = new Map();

  constructor(root) {
    this.#known = testNames(root);
    this.#byId = testsById(this.#known, scenarioName);
  }

  number(name) {
    if (!this.#known.has(name)) throw new Error(`a test is named that is not there: ${name}`);
    if (!this.#numbers.has(name)) this.#numbers.set(name, this.#numbers.size + 1);
    return this.#numbers.get(name);
  }

  /** Whole names of tests that begin with an id. */
  namedAfter(id) {
    return [...this.#known.keys()].filter((name) => {
      const [, ids] = scenarioName.exec(name) ?? [];
      return (ids ?? "").split(", ").includes(id);
    });
  }

  list() {
    return [...this.#numbers].map(([name, number]) => {
      const { file, subject } = this.#known.get(name);
      const about = subject === "" ? "" : `${subject}: `;
      return `${number}. ${(about + name).replaceAll(/\$\{.*?\}/g, "…")} (${file})`;
    });
  }

  /** @throws Error for a test that is named after a scenario which is not there */
  strangers(groups) {
    const ids = new Set(groups.flatMap(({ scenarios }) => scenarios.map(({ id }) => id)));
    for (const id of this.#byId.keys()) {
      if (!ids.has(id)) throw new Error(`a test is named after ${id}, which is no scenario`);
    }
    return [];
  }
}

function table(heads, rows) {
  const line = (cells) =>
    `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)];
}
