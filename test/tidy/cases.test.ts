import assert from "node:assert/strict";
import { it } from "node:test";
import { readText, repositoryFiles } from "./repository.ts";

const readme = "test/zookeeper/README.md";
const weaknesses = "docs/WEAKNESSES.md";

it("every test that is said to show what becomes of a ZooKeeper client is there", () => {
  const named = [...readText(readme).matchAll(/^\| \d+ \|.*\|(.*)\|$/gm)].flatMap(
    ([, tests = ""]) => tests.split("; ").filter((one) => !one.trim().startsWith("none: ")),
  );
  assert.ok(named.length > 40);
  const missing = named.filter((one) => {
    const [, home = "", name = ""] = /^\s*`([\w-]+)`: (.+?)\s*$/.exec(one) ?? [];
    return name === "" || !textsOf(home).some((text) => text.includes(`"${name}"`));
  });
  assert.deepEqual(missing, []);
});

it("every weakness has tests whose titles begin with its number, and the table quotes them", () => {
  const rows = [...readText(weaknesses).matchAll(/^\| (W\d+) \|.*\| "(.+)" \((.+)\) \|$/gm)];
  const quoted = rows.map(([, number, title = "", file]) => {
    assert.ok(numbersOf(title).includes(number ?? ""), `${number}: ${title}`);
    return `${file}: ${title}`;
  });
  assert.deepEqual(
    rows.map(([, number]) => number),
    Array.from(rows, (_, index) => `W${index + 1}`),
  );
  const titles = repositoryFiles()
    .filter((file) => /^(packages|test)\/.*\.ts$/.test(file))
    .flatMap((file) => titlesOf(readText(file)).map((title) => `${file}: ${title}`));
  assert.ok(titles.length > 9);
  assert.deepEqual([...new Set(quoted)].toSorted(), titles.toSorted());
});

/** The titles in a file that begin with numbers of weaknesses, without what only a run fills in. */
function titlesOf(text: string): readonly string[] {
  return [...text.matchAll(/(?:\bit\(|\btest\(|what: )(["`])(W\d+.*?)( \(\$\{.*?)?\1/g)].map(
    ([, , title = ""]) => title,
  );
}

/** `W1, W11 are …`: W1 and W11. */
function numbersOf(title: string): readonly string[] {
  return /^W\d+(, W\d+)*/.exec(title)?.[0].split(", ") ?? [];
}

/** The tests of a suite, or of a package. */
function textsOf(home: string): readonly string[] {
  const suite = `test/zookeeper/suites/${home}.zookeeper.ts`;
  return repositoryFiles()
    .filter(
      (file) =>
        file === suite || (file.startsWith(`packages/${home}/src/`) && file.endsWith(".test.ts")),
    )
    .map(readText);
}
