import assert from "node:assert/strict";
import { test } from "node:test";

import { PendingWork } from "./pending-work.ts";
import { formatBytes, ProgressBar, progressLine } from "./progress-bar.ts";
import { formatTable } from "./table.ts";

test("a progress line says share, counts, rate and what is left", () => {
  assert.equal(
    progressLine({ label: "sending", total: 200_000 }, 50_000, 2_000),
    `sending  ${"█".repeat(7)}${"░".repeat(21)}  25 %  50,000 of 200,000  25,000/s  6 s left`,
  );
  assert.equal(progressLine({ label: "sending" }, 500, 1_000), "sending  500  500/s");
  assert.match(progressLine({ label: "x", total: 0 }, 0, 0), / 100 % /);
});

test("a progress bar is drawn at most ten times a second, and only for a person", () => {
  let nowMs = 0;
  const drawn: string[] = [];
  const writeError = (text: string): void => void drawn.push(text);
  const options = { label: "x", total: 10, nowMs: () => nowMs };
  const bar = new ProgressBar({ interactive: true, columns: 80, writeError }, options);
  bar.update(1);
  bar.update(2);
  nowMs = 100;
  bar.update(3);
  assert.equal(drawn.length, 2);
  bar.clear();
  assert.equal(drawn.at(-1), "\r\u001B[2K");
  const silent = new ProgressBar({ interactive: false, columns: 80, writeError }, options);
  silent.update(1);
  silent.clear();
  assert.equal(drawn.length, 3);
});

test("a progress bar stays on one line, however narrow", () => {
  const drawn: string[] = [];
  const writeError = (text: string): void => void drawn.push(text);
  for (const columns of [120, 80, 40]) {
    let nowMs = 0;
    const options = { label: "received", total: 400_000, nowMs: () => nowMs };
    const bar = new ProgressBar({ interactive: true, columns, writeError }, options);
    nowMs = 20_000;
    bar.update(100_000, "sent 200,000");
  }
  const lines = drawn.map((text) => text.replace("\r\u001B[2K", ""));
  const figures = " 25 %  100,000 of 400,000  5,000/s  60 s left  sent 200,000";
  assert.equal(lines[0], `received  ${"█".repeat(7)}${"░".repeat(21)} ${figures}`);
  assert.equal(lines[1], `received  ${"█".repeat(2)}${"░".repeat(7)} ${figures}`);
  assert.equal(lines[1]?.length, 79);
  assert.equal(lines[2], `received  ${"█".repeat(2)}${"░".repeat(6)} ${figures}`.slice(0, 39));
});

test("bytes are told in the unit that fits", () => {
  assert.equal(formatBytes(512), "512 B");
  assert.equal(formatBytes(1536), "1.5 KiB");
  assert.equal(formatBytes(134_217_728), "128 MiB");
});

test("a table aligns its columns, numbers on the right", () => {
  const text = formatTable<readonly [string, number]>(
    [
      { title: "NAME", text: ([name]) => name },
      { title: "COUNT", text: ([, count]) => String(count), align: "right" },
    ],
    [
      ["orders", 5],
      ["a", 1000],
    ],
  );
  assert.equal(text, "NAME    COUNT\norders      5\na        1000\n");
});

test("control characters of a name cannot rule the terminal", () => {
  const text = formatTable<string>([{ title: "N", text: (name) => name }], ["a\u001B[2Jb\n"]);
  assert.equal(text, "N\na\uFFFD[2Jb\uFFFD\n");
});

test("pending work waits when it is full and tells the first failure", async () => {
  const pending = new PendingWork(2);
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  await pending.add(gate);
  const second = pending.add(gate);
  assert.equal(pending.count, 2);
  release();
  await second;
  await pending.settle();
  assert.equal(pending.count, 0);
  assert.equal(pending.failed.aborted, false);
  await assert.rejects(async () => {
    await pending.add(Promise.reject(new Error("first")));
    await pending.settle();
  }, /first/);
  assert.equal(pending.failed.aborted, true);
});
