import type { Prng } from "@everhold/base";
import { filters } from "./filters.ts";
import type {
  FaultStep,
  QueuePlan,
  Round,
  RulesPlan,
  RulesSetup,
  SendStep,
  Step,
} from "./program.ts";

/** How often each kind of step comes; each seed has a taste of its own. */
type Taste = Readonly<Record<StepMaker, number>>;
type StepMaker = keyof typeof makers;

const plain = { routing: "anycast", filter: -1, isLastValue: false, ringSize: -1 } as const;
const ordinary = { ...plain, isExclusive: false } as const;

/** Queues with one address each, and an address whose messages go to two of them. */
function randomQueues(prng: Prng): QueuePlan[] {
  const special: QueuePlan[] = [
    { ...ordinary, name: "latest", address: "latest", isLastValue: true },
    { ...ordinary, name: "ring", address: "ring", ringSize: prng.pick([1, 2, 4]) },
    { ...ordinary, name: "only", address: "only", isExclusive: true },
  ];
  const all: QueuePlan[] = [
    { ...ordinary, name: "first", address: "first" },
    { ...ordinary, name: "second", address: "second" },
    { ...ordinary, name: "news-all", address: "news", routing: "multicast" },
    { ...ordinary, name: "news-red", address: "news", routing: "multicast", filter: 0 },
  ];
  return [...all, ...special.filter(() => prng.chance(0.4))];
}

/** Everything that a seed does, chosen before anything happens. */
export function randomPlan(prng: Prng): RulesPlan {
  const setup = randomSetup(prng);
  const taste = randomTaste(prng);
  const faultProbability = prng.pick([0, 0.1, 0.3]);
  const rounds: Round[] = [{ steps: openingSteps(prng, setup), restMs: 0 }];
  const count = prng.integer(15, 50);
  while (rounds.length < count) rounds.push(randomRound(prng, setup, taste, faultProbability));
  return { setup, rounds };
}

function randomSetup(prng: Prng): RulesSetup {
  return {
    clientCount: prng.integer(1, 3),
    queues: randomQueues(prng),
    maxDeliveryAttempts: prng.pick([-1, 1, 2, 3, 10]),
    fullness: {
      maxSizeBytes: prng.pick([-1, -1, 3_000, 30_000]),
      policy: prng.pick(["block", "fail", "drop"]),
    },
    redelivery: {
      delayMs: prng.pick([0, 0, 300, 3_000]),
      multiplier: prng.pick([1, 2]),
      delayMaxMs: prng.pick([-1, 5_000]),
      isBlocking: prng.chance(0.3),
    },
    segmentBytes: prng.pick([256 * 1024, 512 * 1024]),
    snapshotBytes: prng.pick([16 * 1024, 64 * 1024, 1024 * 1024]),
    tailCacheBytes: prng.pick([64 * 1024, 1024 * 1024]),
    minLargeBytes: prng.pick([4_096, 102_400]),
    clientsBehindMs: prng.pick([0, 3_600_000]),
    diskDelayMsMax: prng.pick([1, 5, 30]),
  };
}

function randomTaste(prng: Prng): Taste {
  const weight = (): number => prng.pick([0, 1, 1, 4]);
  return {
    send: 2 + weight(),
    open: 1 + weight(),
    close: weight(),
    ack: 1 + weight(),
    release: weight(),
    reject: weight(),
    end: 1 + weight(),
    branch: weight() / 3,
    decide: weight() / 3,
    browse: 0.3,
    manage: weight() / 2,
  };
}

/** A program that nobody consumes in would find little. */
function openingSteps(prng: Prng, setup: RulesSetup): Step[] {
  return Array.from({ length: prng.integer(0, 4) }, () => makers.open(prng, setup));
}

function randomRound(prng: Prng, setup: RulesSetup, taste: Taste, faultProbability: number): Round {
  const steps: Step[] = [];
  const count = prng.pick([1, 1, 2, 3, 5]);
  while (steps.length < count) steps.push(makers[pickMaker(prng, taste)](prng, setup));
  if (prng.chance(faultProbability)) steps.push(randomFault(prng));
  const restMs = prng.pick([0, 0, 0, 300, 2_000, 10_000, 45_000]);
  return { steps, restMs };
}

function pickMaker(prng: Prng, taste: Taste): StepMaker {
  const names: StepMaker[] = [
    "send",
    "open",
    "close",
    "ack",
    "release",
    "reject",
    "end",
    "branch",
    "decide",
    "browse",
    "manage",
  ];
  const total = names.reduce((sum, name) => sum + taste[name], 0);
  let rest = prng.fraction() * total;
  for (const name of names) {
    rest -= taste[name];
    if (rest < 0) return name;
  }
  return "send";
}

const makers = {
  send: (prng: Prng, setup: RulesSetup): Step => ({
    do: "send",
    ...message(prng, setup),
    durable: prng.chance(0.8),
    transacted: prng.chance(0.25),
  }),
  // What is not durable is lost with the broker even when it is prepared.
  branch: (prng: Prng, setup: RulesSetup): Step => ({
    do: "prepare",
    ...message(prng, setup),
    durable: true,
  }),
  decide: (prng: Prng, { clientCount }: RulesSetup): Step => ({
    do: "decide",
    client: prng.integer(0, clientCount - 1),
    pick: prng.integer(0, 20),
    how: prng.pick(["commit", "commit", "rollback"]),
  }),
  open: (prng: Prng, { clientCount }: RulesSetup): Step => ({
    do: "open",
    client: prng.integer(0, clientCount - 1),
    queue: prng.integer(0, 20),
    prefetch: prng.pick([1, 1, 2, 5]),
    filter: prng.chance(0.3) ? prng.integer(0, filters.length - 1) : -1,
    transacted: prng.chance(0.25),
  }),
  close: (prng: Prng): Step => ({ do: "close", consumer: prng.integer(0, 20) }),
  ack: (prng: Prng): Step => settle(prng, "ack"),
  release: (prng: Prng): Step => settle(prng, "release"),
  reject: (prng: Prng): Step => settle(prng, "reject"),
  end: (prng: Prng, { clientCount }: RulesSetup): Step => ({
    do: prng.pick(["commit", "commit", "rollback"]),
    client: prng.integer(0, clientCount - 1),
  }),
  browse: (prng: Prng, { clientCount }: RulesSetup): Step => ({
    do: "browse",
    client: prng.integer(0, clientCount - 1),
    queue: prng.integer(0, 20),
  }),
  manage: (prng: Prng): Step => ({
    do: "manage",
    operation: prng.pick(["expire", "bury", "remove", "retry", "pause", "resume", "resume"]),
    queue: prng.integer(0, 20),
    pick: prng.integer(0, 20),
  }),
};

/** Everything of a message but how it is sent. */
function message(
  prng: Prng,
  { clientCount }: RulesSetup,
): Omit<SendStep, "do" | "durable" | "transacted"> {
  return {
    client: prng.integer(0, clientCount - 1),
    target: prng.integer(0, 20),
    count: prng.pick([1, 1, 2, 5]),
    priority: prng.pick([4, 4, 4, 0, 9]),
    ttlMs: prng.pick([0, 0, 0, 0, 200, 5_000, 40_000]),
    delayMs: prng.pick([0, 0, 0, 0, 1, 1_500, 20_000]),
    color: prng.pick([undefined, "red", "green", "blue"]),
    size: prng.pick([undefined, 1, 5, 7, 9]),
    group: prng.pick([undefined, undefined, "a", "b"]),
    key: prng.pick([undefined, "x", "y"]),
    bodyChars: prng.pick([20, 100, 600, 5_000]),
    duplicate: prng.pick([-1, -1, -1, 0, 1, 2]),
  };
}

function settle(prng: Prng, how: "ack" | "release" | "reject"): Step {
  return {
    do: "settle",
    consumer: prng.integer(0, 20),
    pick: prng.integer(0, 20),
    count: prng.pick([1, 1, 2, 9]),
    how,
    delayMs: prng.pick([-1, -1, 500, 8_000]),
  };
}

function randomFault(prng: Prng): FaultStep {
  return {
    do: "fault",
    fault: prng.pick([
      "kill broker",
      "power off broker",
      "kill broker while writing",
      "power off broker while writing",
      "power off broker while writing",
      "restart broker",
      "crash client",
      "cut",
      "cut",
      "stall",
      "fill disk",
    ]),
    client: prng.integer(0, 5),
    afterMs: prng.fraction() * prng.pick([1, 5, 30]),
    durationMs: prng.integer(10, 3_000),
  };
}
