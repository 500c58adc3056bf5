import { setTimeout as delay } from "node:timers/promises";

import type { ZooKeeperVersion } from "../support/class-path.ts";
import { Ensemble } from "../support/ensemble.ts";
import { bothLed } from "./both-led.ts";
import type { Contestant } from "./contestant.ts";
import type { ClientResult, Run } from "./results.ts";
import { sessionTimeoutMs, type Scenario } from "./scenarios.ts";
import { Stage } from "./stage.ts";

/** Enough for a new session, and for an old one to end, where servers gave it its time again. */
const settleMs = 1.5 * sessionTimeoutMs;
const watchMs = 1_500;

/** Plays a scenario so many times on one ensemble. @throws Error when one of the clients dies */
export async function runScenario(
  scenario: Scenario,
  runCount: number,
  version: ZooKeeperVersion,
): Promise<Run[]> {
  await using ensemble = await Ensemble.start({ version, ...scenario.ensemble });
  const runs: Run[] = [];
  for (let run = 1; run <= runCount; run += 1) {
    await ensemble.startAll();
    runs.push(await playOnce(ensemble, scenario, `/run-${run}`));
  }
  return runs;
}

async function playOnce(ensemble: Ensemble, scenario: Scenario, base: string): Promise<Run> {
  await using stage = await Stage.set(ensemble, scenario, base);
  const faultMs = Date.now();
  await scenario.fault(stage);
  await ensemble.serves();
  await delay(settleMs);
  const touchMs = Date.now();
  await stage.touch();
  await delay(watchMs);
  for (const contestant of [...stage.mains, ...stage.rivals]) contestant.refuseDead();
  const result = (index: number): ClientResult => {
    const [main, rival] = [stage.mains[index], stage.rivals[index]];
    if (main === undefined || rival === undefined) throw new Error("the stage is empty");
    return resultOf({ stage, scenario, main, rival, faultMs, touchMs });
  };
  return { curator: result(0), everhold: result(1) };
}

interface Played {
  readonly stage: Stage;
  readonly scenario: Scenario;
  readonly main: Contestant;
  readonly rival: Contestant;
  readonly faultMs: number;
  readonly touchMs: number;
}

function resultOf({ stage, scenario, main, rival, faultMs, touchMs }: Played): ClientResult {
  const since = (event: { readonly at: number } | undefined): number | null =>
    event === undefined ? null : event.at - faultMs;
  const after = main.events.filter(({ at }) => at >= faultMs);
  const ledUntilMs = since(after.find((event) => event.type === "leads" && !event.leads));
  const ledAgainMs = since(after.find((event) => event.type === "leads" && event.leads));
  const rivalLedMs = since(
    rival.events.find((event) => event.type === "leads" && event.leads && event.at >= faultMs),
  );
  const told = (name: string): boolean =>
    after.some(
      (event) =>
        event.type === "watch" &&
        event.name === name &&
        event.at >= touchMs &&
        // As the two libraries name what has happened here.
        ["NodeDataChanged", "dataChanged"].includes(event.event),
    );
  return {
    states: after.flatMap((event) =>
      event.type === "state" ? [{ state: event.state, ms: event.at - faultMs }] : [],
    ),
    nodeGoneMs: sighted(stage, `${main.base}/plain`, faultMs, (czxid) => czxid === 0n),
    heldBackMs: sighted(stage, `${main.base}/held`, faultMs, (czxid) => czxid !== 0n),
    ledUntilMs,
    ledAgainMs,
    rivalLedMs,
    bothLedMs: bothLed({
      ...{ main: main.events, rival: rival.events, faultMs, endMs: touchMs },
      stoodStill: scenario.stopsClients === true,
    }),
    onceTold: told("once"),
    keptTold: told("kept"),
    answers: stage.answers[main.kind],
  };
}

/** When a node had become what is expected, after the fault. */
function sighted(
  stage: Stage,
  path: string,
  faultMs: number,
  isExpected: (czxid: bigint) => boolean,
): number | null {
  const [first, ...changes] = stage.observer.of(path);
  const found = changes.find(
    ({ atMs, czxid }) => atMs >= faultMs && czxid !== first?.czxid && isExpected(czxid),
  );
  return found === undefined ? null : found.atMs - faultMs;
}
