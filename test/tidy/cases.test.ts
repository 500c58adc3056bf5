import assert from "node:assert/strict";
import { it } from "node:test";
import { readText, repositoryFiles } from "./repository.ts";

const readme = "test/zookeeper/README.md";

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
