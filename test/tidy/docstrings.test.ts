import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { packages, readText, sourceFiles } from "./repository.ts";

describe("docstrings", () => {
  it("every exported declaration says what it is", () => {
    const wrong = packages().flatMap(({ folder }) =>
      sourceFiles(`${folder}/src`)
        .filter((file) => !file.endsWith(".test.ts"))
        .flatMap((file) => undocumentedExports(readText(file)).map((line) => `${file}: ${line}`)),
    );
    assert.deepEqual(wrong, []);
  });
});

/** The lines that export a declaration and have no docstring right above them. */
function undocumentedExports(text: string): string[] {
  const lines = text.split("\n");
  return lines.filter((line, index) => {
    if (!/^export (?:abstract |async )*(?:function\*?|class|const|interface|type) \w/.test(line)) {
      return false;
    }
    // The type of a value that is described already.
    if (/^export type .*\btypeof \w/.test(line)) return false;
    const above = lines[index - 1] ?? "";
    // The later signatures of an overloaded function share the docstring of the first.
    const name = /function\*? (\w+)/.exec(line)?.[1];
    const isOverload = name !== undefined && above.includes(`function ${name}`);
    return !above.endsWith("*/") && !isOverload;
  });
}
