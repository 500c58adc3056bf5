import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import type { DemoResult } from "./run-demo.ts";
import { eventText, isGood, resultText } from "./story.ts";

const program = fileURLToPath(new URL("../../bin/everhold.mjs", import.meta.url));

test("flights survive that the live of a pair is killed twice: none lost, none doubled, the journals equal", async () => {
  const args = [
    program,
    "demo",
    "failover",
    "--json",
    "--flights",
    "4000",
    "--kills",
    "2",
    "--stall",
    "120",
  ];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
  assert.equal(stderr, "");
  const result: unknown = JSON.parse(stdout);
  assert.ok(typeof result === "object" && result !== null);
  const {
    seconds: _seconds,
    redelivered: _redelivered,
    outagesMs,
    ...facts
  } = { seconds: 0, redelivered: 0, outagesMs: [], ...result };
  assert.deepEqual(facts, {
    sent: 4_000,
    received: { stats: 4_000, archive: 4_000 },
    lost: 0,
    duplicated: 0,
    kills: 2,
    left: 0,
    members: 2,
    settledBy: "folder",
    journals: "equal",
    equal: true,
  });
  assert.equal(outagesMs.length, 2);
});

const good: DemoResult = {
  sent: 100,
  received: { stats: 100, archive: 100 },
  kills: 2,
  lost: 0,
  duplicated: 0,
  redelivered: 7,
  left: 0,
  outagesMs: [310, 1_020],
  members: 3,
  settledBy: "zookeeper",
  journals: "equal",
  seconds: 12.34,
  equal: true,
};

test("each broken promise alone makes the demo fail", () => {
  assert.equal(isGood(good), true);
  const broken: readonly Partial<DemoResult>[] = [
    { received: { stats: 99, archive: 100 } },
    { received: { stats: 100, archive: 99 } },
    { lost: 1 },
    { duplicated: 1 },
    { left: 1 },
    { journals: "beginnings" },
    { journals: "different" },
    { equal: false },
  ];
  for (const part of broken) assert.equal(isGood({ ...good, ...part }), false);
});

test("the longest outage is told, and journals that differ stand out", () => {
  assert.match(resultText(good), /longest outage, ms +1,020\n/);
  assert.match(resultText({ ...good, outagesMs: [] }), /longest outage, ms +-\n/);
  assert.match(
    resultText({ ...good, journals: "different" }),
    /journals of all members +DIFFERENT/,
  );
});

test("the story says who leads, who was killed, how long nobody answered, and who follows again", () => {
  const told = [
    eventText({ kind: "leads", member: "anna", backups: ["bert", "cleo"] }, 1_234),
    eventText({ kind: "killed", member: "anna" }, 2_000),
    eventText({ kind: "took over", member: "cleo", outageMs: 1_020 }, 13_000),
    eventText({ kind: "in sync", member: "anna", afterMs: 3_600 }, 16_600),
  ];
  assert.deepEqual(told, [
    "    1.2 s  anna leads, bert and cleo in sync with it",
    "    2.0 s  anna is killed",
    "   13.0 s  cleo leads: the first answer came 1,020 ms after the kill",
    "   16.6 s  anna follows, in sync 3.6 s after its new start",
  ]);
});

test("more kills than the flights are enough for are refused", async () => {
  const run = promisify(execFile)(process.execPath, [
    ...[program, "demo", "failover", "--flights", "79", "--kills", "3"],
  ]);
  await assert.rejects(run, { code: 2, stderr: /found --flights 79 and --kills 3.* 80 flights/ });
});
