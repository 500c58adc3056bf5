import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("torture.js", import.meta.url));

const cases: readonly [string, RegExp][] = [
  ["--bogus", /^torture: Unknown option '--bogus'.*; there are .*--clients, --processes, .*\n$/],
  ["--seconds", /^torture: .*--seconds.*argument missing; there are .*\n$/],
  ["--clients 0", /^torture: expected a whole number from 1 on for --clients, found "0"\n$/],
  ["--client perl", /^torture: expected --client of everhold, java, found "perl"\n$/],
  ["--group 9", /^torture: expected 2 to 5 for --group, or 0 for none, found 9\n$/],
  ["--faults part", /^torture: expected --faults of kill, stop, .*, found "part"\n$/],
  ["--zookeeper --bogus", /^torture: Unknown option '--bogus'.*; there are .*--lock, .*\n$/],
  ["--zookeeper --lock x", /^torture: expected --lock of .*, found "x"\n$/],
];

for (const [words, told] of cases) {
  test(`torture ${words} says what it found and what is allowed`, () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...words.split(" ")], {
      encoding: "utf8",
    });
    assert.match(stderr, told);
    assert.deepEqual({ status, stdout }, { status: 2, stdout: "" });
  });
}

test("a run that does not come to its end in time is given up, and its verdict says why", () => {
  const folder = mkdtempSync(join(tmpdir(), "everhold-torture-"));
  try {
    const words = "--clients 8 --seconds 1 --kill none --minimum 0 --patience 0 --folder";
    const { status, stdout } = spawnSync(process.execPath, [program, ...words.split(" "), folder], {
      encoding: "utf8",
    });
    const { ok, failure }: Record<string, unknown> = JSON.parse(stdout);
    assert.equal(ok, false);
    assert.match(String(failure), /^the run is not over after 1 s; last it told: /);
    assert.equal(status, 1);
  } finally {
    // What it has started may be about to end.
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  }
});
