import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const packageFolder = new URL("../", import.meta.url);

test("the README shows every example, word for word", () => {
  const readme = readFileSync(new URL("README.md", packageFolder), "utf8");
  const shown = [...readme.matchAll(/^```js (examples\/\S+)\n([\s\S]*?)^```$/gm)].map(
    ([, name = "", text]) => [name, text] as const,
  );
  const examples = readdirSync(new URL("examples/", packageFolder)).map((name) => {
    const file = `examples/${name}`;
    return [file, readFileSync(new URL(file, packageFolder), "utf8")] as const;
  });
  assert.deepEqual(new Map(shown), new Map(examples));
});
