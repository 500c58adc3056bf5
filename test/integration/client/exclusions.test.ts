import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";

import { artemisLacks } from "./exclusions.ts";

const root = new URL("../../../../", import.meta.url);
const folders = ["client", "delivery"].map((name) => new URL(`test/integration/${name}/`, root));

describe("what Artemis can't do", () => {
  it("docs/ARTEMIS.md explains each exclusion of the suite, and no other", () => {
    const text = readFileSync(new URL("docs/ARTEMIS.md", root), "utf8");
    const [, section = ""] = text.split("## What the suite does not ask of Artemis");
    const explained = [...section.matchAll(/^\| `([a-z-]+)` \| .{20,}/gm)].map(([, id]) => id);
    assert.deepEqual(explained.toSorted(), artemisLacks.toSorted());
  });

  it("each exclusion keeps a test from being asked", () => {
    const source = folders
      .flatMap((folder) =>
        readdirSync(folder)
          .filter((name) => name.endsWith(".suite.ts"))
          .map((name) => readFileSync(new URL(name, folder), "utf8")),
      )
      .join("\n");
    const used = [...source.matchAll(/itUnless\(\s*"([a-z-]+)"/g)].map(([, id]) => id);
    assert.deepEqual([...new Set(used)].toSorted(), artemisLacks.toSorted());
  });
});
