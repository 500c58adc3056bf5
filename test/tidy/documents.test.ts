import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { readText, repositoryFiles, root } from "./repository.ts";

describe("documents", () => {
  it("the generated documents say what the code says", () => {
    const script = join(root, "scripts", "docs.mjs");
    const { status, stderr } = spawnSync(process.execPath, [script, "--check"], {
      encoding: "utf8",
    });
    assert.equal(stderr, "");
    assert.equal(status, 0);
  });

  it("a link from one file to another leads somewhere", () => {
    const wrong = repositoryFiles()
      .filter((file) => file.endsWith(".md"))
      .flatMap((file) =>
        linksOf(readText(file))
          .filter((target) => !existsSync(join(root, dirname(file), target)))
          .map((target) => `${file} → ${target}`),
      );
    assert.deepEqual(wrong, []);
  });

  it("an npm script that a document names exists", () => {
    const { scripts } = JSON.parse(readText("package.json")) as { scripts: Record<string, string> };
    const wrong = repositoryFiles()
      .filter((file) => file.endsWith(".md"))
      .flatMap((file) =>
        [...readText(file).matchAll(/\bnpm run ([a-z][a-z-]*)/g)]
          .map((match) => match[1] ?? "")
          .filter((name) => !Object.hasOwn(scripts, name))
          .map((name) => `${file}: npm run ${name}`),
      );
    assert.deepEqual(wrong, []);
  });
});

/** The targets of relative links, fragments cut off. */
function linksOf(markdown: string): string[] {
  const prose = markdown.replaceAll(/```[\s\S]*?```/g, "").replaceAll(/`[^`]*`/g, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => match[1] ?? "")
    .filter((target) => !/^(https?:|mailto:|#)/.test(target))
    .map((target) => target.replace(/#.*$/, ""));
}
