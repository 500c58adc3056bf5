import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

import type { MemberProcess } from "#group/group-processes.js";
import type { Traffic } from "#group/traffic.js";
import { until } from "#group/until.js";

import type { BreakableGroup } from "./breakable-group.ts";
import type { Row } from "./group-rows.ts";

/** Sends at least, in each row, one after the other. */
const sendCount = 10;

/**
 * Has what the row tells happen to a whole group under traffic, which is whole again in the end.
 * @returns a line of a table: what happened, who leads, the longest that a send waited, when another one served where that is asked for, and what clients could not learn
 * @throws AssertionError where another one leads than may, nobody has told what is to be told, or a send or acknowledgement fails
 */
export async function play(row: Row, group: BreakableGroup, traffic: Traffic): Promise<string> {
  const { what, leads, over = "answered", lastsMs = 0, bytes = 0, tells, begin, end } = row;
  const { processes } = group;
  const { live, members } = processes;
  const story = (): string => processes.story;
  const [backup, other] = members.filter((member) => member !== live);
  assert.ok(live !== undefined && backup !== undefined && other !== undefined, story());
  const stage = { group, live, backup, other };
  // Who is silent still believes that it leads.
  const isNext = (member: MemberProcess): boolean =>
    member.isServing && (over !== "another serves" || member !== live);
  await traffic.send(sendCount);
  await traffic.settled();
  traffic.takeLongestMs();
  const doubts = traffic.inDoubtCount;
  const toldCounts = members.map(({ lines }) => lines.length);
  await begin(stage);
  const beganMs = performance.now();
  const sending = (async () => {
    await traffic.send(sendCount, bytes);
    while (over === "answered" && performance.now() - beganMs < lastsMs) await traffic.send(1);
  })();
  // It fails the row where it is waited for.
  sending.catch(() => undefined);
  if (over === "answered") await sending;
  else if (over === "time") await pause(lastsMs);
  if (over !== "time") await until("a live", () => members.some(isNext), story);
  const servesMs = performance.now() - beganMs;
  const next = members.find(isNext);
  const who = next === undefined ? "nobody" : next === live ? "the same" : "another";
  await end(stage);
  await sending;
  if (leads !== "any") assert.equal(who, leads, story());
  await group.untilWhole();
  await traffic.send(sendCount);
  await traffic.settled();
  const told = members.flatMap(({ lines }, index) => lines.slice(toldCounts[index]));
  if (tells !== undefined)
    assert.ok(
      told.some((line) => tells.test(line)),
      story(),
    );
  return [
    what,
    `${who} leads`,
    `${traffic.takeLongestMs().toFixed(0)} ms`,
    ...(over === "another serves" ? [`another serves after ${servesMs.toFixed(0)} ms`] : []),
    `${traffic.inDoubtCount - doubts} in doubt`,
  ].join(" | ");
}
