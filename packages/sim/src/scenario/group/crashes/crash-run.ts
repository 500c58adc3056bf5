import type { InFlightFate } from "../../../disk/disk-machine.ts";
import { World } from "../../../world/world.ts";
import type { Cast } from "../../cast.ts";
import { consuming } from "../../consuming.ts";
import { producing } from "../../producing.ts";
import { transferring } from "../../transferring.ts";
import { GroupStage } from "../group-stage.ts";
import type { GroupMistake } from "../group-mistakes.ts";
import type { MemberProcess } from "../member-process.ts";
import type { CrashStep } from "./crash-steps.ts";

/** How a member dies, and for how long it is away. */
export interface Manner {
  readonly name: string;
  readonly power: boolean;
  /** What becomes of what its disk had under way. */
  readonly fate: InFlightFate;
  readonly awayMs: number;
}

const firstManner: Manner = {
  name: "loses power and all under way, for long",
  ...{ power: true, fate: "lost", awayMs: 2_500 },
};

/** Away for so short a time that nobody takes over, or for so long that somebody does. */
export const manners: readonly Manner[] = [
  firstManner,
  { name: "is killed, all under way is stored", power: false, fate: "applied", awayMs: 200 },
  { name: "loses power and some under way", power: true, fate: "random", awayMs: 200 },
];

/** Where somebody dies. */
export interface CrashPoint {
  readonly step: CrashStep;
  /** Default: the first one. */
  readonly manner?: Manner | undefined;
  /** How many things it does before, on its disk or with others, from the beginning of the step on; Infinity: nobody dies. */
  readonly point: number;
  readonly mistake?: GroupMistake | undefined;
  /** Takes the trace, line by line. */
  readonly writeTrace?: (line: string) => void;
}

/** What came of it. */
export interface CrashOutcome {
  /** What it had just done; undefined where the step was over before. */
  readonly diedAfter: string | undefined;
  /** How many things it did in the step. */
  readonly pointCount: number;
  /** Broken promises; empty when all is well. */
  readonly problems: readonly string[];
}

/**
 * A scripted group of three, its ZooKeeper and clients at work. One member dies at one point of one step and comes back;
 * then everything comes to rest: the rules must have held after every event, every promise to the clients be kept, all
 * members have the same, and each of them lead once.
 */
export async function runCrash(crash: CrashPoint): Promise<CrashOutcome> {
  return new CrashRun(crash).run();
}

class CrashRun {
  readonly #crash: CrashPoint;
  readonly #stage: GroupStage;
  #doer: MemberProcess | undefined;
  /** What its doer knew to be committed when the step began. */
  #committed = 0;
  #pointCount = 0;
  #diedAfter: string | undefined;
  #isOver = false;

  constructor(crash: CrashPoint) {
    this.#crash = crash;
    const { step, mistake, writeTrace } = crash;
    const world = new World(writeTrace === undefined ? { seed: 1 } : { seed: 1, writeTrace });
    this.#stage = new GroupStage(world, {
      ...{ serverCount: 1, tickTimeMs: 500, lagMsMax: 1, memberCount: 3, sessionTimeoutMs: 2_000 },
      broker: {
        journal: { segmentBytes: 64 * 1024, snapshotBytes: 16 * 1024, tailCacheBytes: 64 * 1024 },
        ...{ maxSizeBytes: -1, addressFullPolicy: "block", maxDeliveryAttempts: -1 },
      },
      minInSync: 2,
      cast: castOf(step),
      mistake,
      onStep: (member, what) => this.#onStep(member, what),
    });
  }

  async run(): Promise<CrashOutcome> {
    const stage = this.#stage;
    const { world, oracle } = stage;
    const passed =
      (await stage.setUp()) &&
      (await stage.reach("all are in sync", () => stage.watch.isEqual)) &&
      (await this.#dieOnTheWay()) &&
      (await stage.rest()) &&
      (await stage.end()) &&
      (await stage.leadInTurn());
    if (passed) oracle.finish(new Map());
    const problems = world.failures.map(({ error }) => error.message);
    return { diedAfter: this.#diedAfter, pointCount: this.#pointCount, problems };
  }

  /** The step is done, or its doer dies meanwhile. */
  async #dieOnTheWay(): Promise<boolean> {
    const stage = this.#stage;
    const { step } = this.#crash;
    for (const process of stage.company.producers) process.start();
    if (step.prepare !== undefined && !(await step.prepare(stage))) return false;
    stage.onEvent = () => {
      if (this.#isDone) return;
      if (this.#doer !== undefined) this.#isOver = step.isOver(stage, this.#doer, this.#committed);
      else {
        this.#doer = step.doer(stage);
        this.#committed = this.#doer?.broker?.member?.commitPosition ?? 0;
        if (this.#doer !== undefined && this.#crash.point === 0) this.#die("it began");
      }
    };
    return stage.reach("the step is over", () => this.#isDone);
  }

  get #isDone(): boolean {
    return this.#isOver || this.#diedAfter !== undefined;
  }

  #onStep(member: string, what: string): void {
    const { step, point } = this.#crash;
    if (member !== this.#doer?.name || this.#isDone) return;
    // What clients are told matters to a commit.
    if (step.hasTransactions !== true && / to \w+-(producer|consumer):/.test(what)) return;
    this.#pointCount += 1;
    if (this.#pointCount === point) this.#die(what);
  }

  /** A process ends between two of its steps. */
  #die(after: string): void {
    this.#diedAfter = after;
    const doer = this.#doer;
    if (doer === undefined) return;
    const { power, fate, awayMs } = this.#crash.manner ?? firstManner;
    const { world } = this.#stage;
    world.after(0, doer.name, "dies", () => {
      doer.disk.crashFate = fate;
      doer.crash({ power, awayMs });
    });
  }
}

/** Somebody sends and somebody takes; for some steps somebody moves messages in transactions, or what is sent fills segments. */
function castOf({ isBulky = false, hasTransactions = false }: CrashStep): Cast {
  const queue = (name: string) => ({ queue: name, address: name, shared: false });
  const consumer = (name: string) => ({
    name: `${name}-consumer`,
    program: consuming({
      open: ({ connection }) => connection.consumer(name),
      ...{ releaseProbability: 0, workMsMax: 1 },
    }),
  });
  const producer = (address: string, messageCount: number) => ({
    name: `${address}-producer`,
    program: producing({
      ...{ address, routing: "anycast", messageCount, inFlightMax: 2 },
      ...(isBulky ? { pauseMsMax: 20, bodyChars: 4_000 } : { pauseMsMax: 150, bodyChars: 100 }),
    }),
  });
  const transfer = { name: "transfer", program: transferring({ from: "raw", to: "done" }) };
  const moved = hasTransactions ? ["raw", "done"] : [];
  return {
    queues: ["orders", ...moved].map((name) => queue(name)),
    consumers: [consumer("orders"), ...(hasTransactions ? [consumer("done"), transfer] : [])],
    producers: [
      producer("orders", isBulky ? 60 : 40),
      ...(hasTransactions ? [producer("raw", 8)] : []),
    ],
  };
}
