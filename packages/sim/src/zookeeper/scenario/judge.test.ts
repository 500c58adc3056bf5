import assert from "node:assert/strict";
import { test } from "node:test";
import type { ChangeView, EnsembleEvent } from "../ensemble-types.ts";
import { Judge } from "./judge.ts";

/** A judge, and servers that say what they are told to. */
function newJudge(): {
  judge: Judge;
  problems: string[];
  tell: (event: EnsembleEvent) => void;
  write: (zxid: bigint, path: string, text: string) => void;
} {
  const problems: string[] = [];
  let tell: (event: EnsembleEvent) => void = () => undefined;
  const listen = (listener: (event: EnsembleEvent) => void): (() => void) => {
    tell = listener;
    return () => undefined;
  };
  const judge = new Judge({ listen }, (text) => problems.push(text));
  const write = (zxid: bigint, path: string, text: string): void => {
    const data = new TextEncoder().encode(text);
    const change: ChangeView = { type: "dataChanged", path, sessionId: 1n, data };
    tell({ type: "committed", zxid, changes: [change] });
  };
  return { judge, problems, tell, write };
}

const path = "/data/a";

test("a write whose writer was told nothing may have been done once, and no more", () => {
  const { judge, problems, write } = newJudge();
  for (const text of ["never", "once", "twice"]) judge.writeBegan(text);
  write(1n, path, "once");
  write(2n, path, "twice");
  write(3n, path, "twice");
  judge.addUp();
  assert.deepEqual(problems, ["effect: twice was written 2 times, its outcome was never said"]);
});

test("a write was done as often as its writer was told", () => {
  const { judge, problems, write } = newJudge();
  for (const text of ["lost", "undone", "doubtful"]) judge.writeBegan(text);
  write(1n, path, "undone");
  judge.writeEnded("lost", "applied");
  judge.writeEnded("undone", "none");
  judge.writeEnded("doubtful", "unknown");
  judge.addUp();
  assert.deepEqual(problems, [
    "effect: lost was written 0 times, its outcome was said to be applied",
    "effect: undone was written 1 times, its outcome was said to be none",
  ]);
});

test("what nobody wrote is found", () => {
  const { problems, write } = newJudge();
  write(1n, path, "stray");
  assert.deepEqual(problems, ['effect: /data/a holds "stray", which nobody wrote']);
});

test("of what was under way when the servers lost everything nothing is said", () => {
  const { judge, problems, tell, write } = newJudge();
  judge.writeBegan("under way");
  write(9n, path, "under way");
  const view = judge.newView();
  const look = judge.look(view, path, true);
  tell({ type: "wiped" });
  write(1n, path, "under way");
  judge.writeEnded("under way", "applied");
  judge.looked(view, look, { mzxid: 1n });
  judge.addUp();
  assert.deepEqual(problems, []);
});

test("a cache that says that it shows a change shows it, and an exact one nothing later", () => {
  const { judge, problems, write } = newJudge();
  for (const text of ["one", "two"]) judge.writeBegan(text);
  write(1n, path, "one");
  write(5n, path, "two");
  const shows = (generation: bigint, isExact: boolean, mzxid: bigint): void =>
    judge.cacheShows({ generation, isExact, statOf: () => ({ mzxid }) }, [path]);
  shows(4n, true, 1n);
  shows(4n, false, 5n);
  assert.deepEqual(problems, []);
  shows(5n, false, 1n);
  shows(4n, true, 5n);
  assert.equal(problems.length, 2);
});
