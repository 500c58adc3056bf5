import { cpus } from "node:os";

import type { ContenderEvent, TortureEvent, Usage } from "./history.ts";
import { judge, type Judgement, type Remains } from "./judge.ts";
import type { Plan } from "./plan.ts";

/** What a run comes to: printed as one line of JSON. */
export interface Verdict extends Judgement {
  readonly ok: boolean;
  /** Whether too little happened for the rest to mean anything. */
  readonly tooLittle: boolean;
  /** Why the run came to an early end. */
  readonly failure: string | undefined;
  readonly plan: Omit<Plan, "faults">;
  readonly processors: number;
  /** What came to pass, by kind. */
  readonly faults: Readonly<Record<string, number>>;
  /** How many watchers were told that a node went, for each turn and each wait that ended. */
  readonly wakeupsPerLeaving: number;
  /** What a process takes on the average, at quarters of the run. */
  readonly usage: readonly Usage[];
}

/** What the run knows besides what was told. */
export interface Ending extends Remains {
  readonly wakeups: number;
  readonly failure: string | undefined;
}

/** Judges a run. */
export function makeVerdict(plan: Plan, events: readonly TortureEvent[], ending: Ending): Verdict {
  const judgement = judge(events, ending);
  const faults: Record<string, number> = {};
  for (const event of events) {
    if (event.kind === "fault") faults[event.fault] = (faults[event.fault] ?? 0) + 1;
  }
  const faultCount = Object.values(faults).reduce((sum, count) => sum + count, 0);
  const minutes = plan.seconds / 60;
  const tooLittle =
    judgement.turns < plan.turnsPerMinuteMin * minutes ||
    faultCount < plan.faultsPerMinuteMin * minutes;
  const isClean = Object.values(judgement.violations).every((count) => count === 0);
  const { faults: _, ...rest } = plan;
  const leavings = Math.max(1, judgement.turns + judgement.waitsGivenUp);
  return {
    ok: isClean && !tooLittle && ending.failure === undefined,
    failure: ending.failure,
    tooLittle,
    ...judgement,
    wakeupsPerLeaving: Number((ending.wakeups / leavings).toFixed(2)),
    faults,
    usage: averageUsage(events, plan.processCount),
    plan: rest,
    processors: cpus().length,
  };
}

/** Of each time that all were asked. */
function averageUsage(events: readonly TortureEvent[], processCount: number): Usage[] {
  const byProcess = new Map<number, Extract<ContenderEvent, { kind: "usage" }>[]>();
  for (const event of events) {
    if (event.kind !== "usage") continue;
    const own = byProcess.get(event.process) ?? [];
    byProcess.set(event.process, [...own, event]);
  }
  const all = [...byProcess.values()];
  const roundCount = Math.min(...all.map(({ length }) => length));
  if (all.length < processCount) return [];
  return Array.from({ length: roundCount }, (_, round) => {
    const mean = (of: (usage: Usage) => number): number =>
      Math.round(all.reduce((sum, own) => sum + of(own[round] ?? noUsage), 0) / all.length);
    return {
      heapBytes: mean(({ heapBytes }) => heapBytes),
      rssBytes: mean(({ rssBytes }) => rssBytes),
      handles: mean(({ handles }) => handles),
    };
  });
}

const noUsage: Usage = { heapBytes: 0, rssBytes: 0, handles: 0 };
