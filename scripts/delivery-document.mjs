/** Makes docs/DELIVERY.md from the table of rules and from the names of the tests that show them. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { testLine, testNames, testsById } from "./test-names.mjs";

/** A test that begins with the ids of rules: `A1.7 an acknowledgement covers …`. */
const ruleName = /^(A\d+\.\d+b?(?:, A\d+\.\d+b?)*) (.+)$/;

/**
 * The document.
 *
 * @throws Error when a rule has neither a test nor a reason, or names a test that does not exist
 */
export async function deliveryDocument(root) {
  const table = join(root, "test", "integration", "dist", "delivery", "rules.js");
  const { ruleGroups, ruleKinds } = await import(pathToFileURL(table).href);
  const tests = testNames(root);
  const named = testsById(tests, ruleName);
  const lines = [
    "# Delivery",
    "",
    "What holds for every message, rule by rule, and which test shows it. The rules are those of Jakarta Messaging",
    "and of what ActiveMQ and Artemis do beyond it; each is one of",
    "",
    `- *${ruleKinds.wire}*: any CORE client sees it, those of Artemis included;`,
    `- *${ruleKinds.option}*: said by the client, nothing for the broker to do;`,
    `- *${ruleKinds.outcome}*: only what becomes of a call or a message shows it;`,
    `- *${ruleKinds.openWire}*: said, not imitated.`,
    "",
    "The table is test/integration/delivery/rules.ts; a test belongs to a rule that it is named after, or that names it.",
    "Those of test/integration/client and test/integration/delivery run on Everhold, and on Artemis with",
    "`npm run interop -- client-on-artemis`; those of test/interop/java are Java programs with an unmodified Artemis client.",
    "",
    summary(ruleGroups, ruleKinds),
  ];
  const known = new Set();
  for (const { id, title, rules } of ruleGroups) {
    lines.push("", `## ${id} ${title}`);
    for (const rule of rules) {
      if (known.has(rule.id)) throw new Error(`two rules have the id ${rule.id}`);
      known.add(rule.id);
      lines.push("", ...ruleLines(rule, ruleKinds[rule.kind], testsOf(rule, named, tests)));
    }
  }
  for (const id of named.keys()) {
    if (!known.has(id)) throw new Error(`a test is named after ${id}, which is no rule`);
  }
  return lines.join("\n");
}

function summary(groups, kinds) {
  const rules = groups.flatMap((group) => group.rules);
  const counts = Object.entries(kinds).map(
    ([kind, name]) => `${rules.filter((rule) => rule.kind === kind).length} ${name}`,
  );
  const open = rules.filter((rule) => rule.open !== undefined);
  const rest =
    open.length === 0
      ? "All of them hold."
      : `Not all hold yet: ${open.map((rule) => rule.id).join(", ")}.`;
  return `${rules.length} rules: ${counts.join(", ")}. ${rest}`;
}

function ruleLines({ id, rule, here, open }, kind, tests) {
  return [
    `### ${id}`,
    "",
    `*${kind[0].toUpperCase()}${kind.slice(1)}.* ${rule}`,
    "",
    `**Here:** ${here}`,
    ...(open === undefined ? [] : ["", `**Not yet:** ${open}`]),
    ...(tests.length === 0 ? [] : [""]),
    ...tests.map((test) => `- ${testLine(test)}`),
  ];
}

/** Those that the rule names, then those that are named after it. */
function testsOf({ id, kind, tests, open }, named, known) {
  const found = tests.map((name) => {
    const place = known.get(name);
    if (place === undefined) throw new Error(`rule ${id} names a test that is not there: ${name}`);
    return { name, place };
  });
  found.push(...(named.get(id) ?? []));
  if (found.length === 0 && open === undefined && kind !== "openWire") {
    throw new Error(`rule ${id} has no test`);
  }
  return found;
}
