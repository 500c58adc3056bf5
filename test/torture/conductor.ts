import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import { Prng } from "@everhold/base";
import type { Connection } from "everhold";

import { ArtemisTarget } from "./artemis-target.ts";
import { connectPatiently } from "./connect-patiently.ts";
import { EverholdTarget } from "./everhold-target.ts";
import { writeFailure } from "./failure.ts";
import { GroupTarget } from "./group-target.ts";
import { scheduleFaults, type Fault } from "./faults.ts";
import { HistoryFile, nowMicroseconds } from "./history-file.ts";
import type { FaultKind } from "./history-line.ts";
import { writePlan, type Plan } from "./plan.ts";
import type { Sabotage } from "./sabotage.ts";
import { JavaLoad } from "./java-load.ts";
import type { TortureTarget } from "./target.ts";
import { runProgram, ToldProcess, type LoadProcess } from "./told-process.ts";

/** Longer than any timeout of the client's; a promise that has not settled then never will. */
const patienceMs = 60_000;

/**
 * How long consumers in peace have for what is left in the queues: longer than the 60 s for which a broker may keep
 * what it has sent to a Java client that went away.
 */
const standstillMs = 75_000;

/** More than all that a run waits for at its end takes together. */
const wholePatienceMs = 600_000;

/** After this it is told who has the messages. */
const lookCloserMs = 10_000;

/** What a run is made of, besides its plan. */
export interface TortureOptions {
  readonly plan: Plan;
  /** Holds the broker's data and all histories. */
  readonly folder: string;
  /** None: nothing is disturbed. */
  readonly faults: readonly FaultKind[];
  readonly sabotage: Sabotage | undefined;
  /** Whose clients make the load; Java's are in one process. */
  readonly client: "everhold" | "java";
  /** Our broker, or a pair of Artemis. */
  readonly against: "everhold" | "artemis";
  /** Members of a group in place of the one broker; 0: it is alone. */
  readonly groupSize: number;
  /** Servers of ZooKeeper that settle who leads the group; 0: a folder does. */
  readonly serverCount: number;
  /** Behind its seconds, in ms. A run that takes longer has failed, and may leave something running. Default 600,000. */
  readonly patienceMs?: number;
  readonly onProgress: (words: string) => void;
}

/**
 * Runs the load and the faults, and has the checker judge what was written; returns its line and exit code. Where the
 * run itself comes to an early end, because a broker is gone for good, the line says why.
 */
export async function runTorture(
  options: TortureOptions,
): Promise<{ readonly output: string; readonly exitCode: number | null }> {
  const { folder, plan, onProgress } = options;
  writePlan(folder, plan);
  let last = "";
  const told = {
    ...options,
    onProgress: (words: string): void => {
      last = words;
      onProgress(words);
    },
  };
  const limitMs = plan.seconds * 1_000 + (options.patienceMs ?? wholePatienceMs);
  let timer: NodeJS.Timeout | undefined;
  const overdue = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`the run is not over after ${limitMs / 1_000} s; last it told: ${last}`));
    }, limitMs);
  });
  try {
    await Promise.race([conduct(told), overdue]);
  } catch (error) {
    onProgress(error instanceof Error ? (error.stack ?? error.message) : String(error));
    writeFailure(folder, error);
  } finally {
    clearTimeout(timer);
  }
  onProgress("checking");
  return runProgram("checker.js", [folder]);
}

async function conduct(options: TortureOptions): Promise<void> {
  const { folder, against, groupSize, serverCount, plan, onProgress } = options;
  const file = new HistoryFile(join(folder, "conductor.history"));
  const target =
    against === "artemis"
      ? await ArtemisTarget.make(folder, onProgress)
      : groupSize > 0
        ? await GroupTarget.make({ folder, groupSize, serverCount, onProgress, seed: plan.seed })
        : await EverholdTarget.make(folder);
  const conductor = new Conductor(options, target, file);
  try {
    await conductor.run();
  } finally {
    await conductor.end();
  }
}

class Conductor {
  readonly #options: TortureOptions;
  readonly #target: TortureTarget;
  readonly #file: HistoryFile;
  #processes: LoadProcess[] = [];

  constructor(options: TortureOptions, target: TortureTarget, file: HistoryFile) {
    this.#options = options;
    this.#target = target;
    this.#file = file;
  }

  async run(): Promise<void> {
    const { plan, onProgress } = this.#options;
    await this.#target.start();
    const admin = await connectPatiently(this.#target.url);
    await this.#createQueues(admin);
    await admin.close();
    this.#processes = this.#startLoad();
    if (!(await this.#everybodySays("ready"))) throw new Error("the load did not start");
    onProgress(`${plan.clients.length} clients at work for ${plan.seconds} s`);
    await this.#disturb(performance.now() + plan.seconds * 1_000);
    await this.#untilLied();
    // What is sent while the target comes to rest, which may take long, would count as sent in the time of the run.
    onProgress("producers end");
    for (const child of this.#processes) child.tell("stop");
    await this.#target.rest();
    this.#target.assertAlive();
    await this.#finish();
  }

  #startLoad(): LoadProcess[] {
    const { plan, folder, sabotage, client } = this.#options;
    const { loadUrls } = this.#target;
    if (client === "java") return [new JavaLoad(plan, folder, loadUrls)];
    return Array.from({ length: plan.processCount }, (_, index) => {
      const lies = index === 0 && sabotage !== undefined ? [sabotage] : [];
      const url = loadUrls.join(",");
      return new ToldProcess("load.client.js", [folder, String(index), url, ...lies]);
    });
  }

  async end(): Promise<void> {
    await Promise.all(this.#processes.map((child) => child.end(0)));
    await this.#target.end();
    this.#file.write({ kind: "end" });
    this.#file.close();
  }

  /** In peace consumers end as soon as the queues are empty, then what is left is taken out. */
  async #finish(): Promise<void> {
    const { folder, onProgress } = this.#options;
    const { url } = this.#target;
    const admin = await connectPatiently(url);
    const isWhole = await this.#everybodySays("stopped");
    const startMs = performance.now();
    const deadlineMs = startMs + (isWhole ? standstillMs : 0);
    let left = await this.#leftIn(admin);
    let isTold = false;
    while (left.length > 0 && performance.now() < deadlineMs) {
      await pause(100);
      left = await this.#leftIn(admin);
      if (isTold || left.length === 0 || performance.now() < startMs + lookCloserMs) continue;
      isTold = true;
      for (const words of left) onProgress(`it takes long: ${words}`);
    }
    for (const words of left) onProgress(`its consumers do not empty ${words}`);
    await admin.close();
    for (const child of this.#processes) child.tell("finish");
    await Promise.all(this.#processes.map((child) => child.end(patienceMs)));
    const drain = new ToldProcess("drain.client.js", [folder, url]);
    const count = await drain.next(patienceMs);
    await drain.end(patienceMs);
    if (typeof count !== "number")
      throw new Error("What was left in the queues was not taken out in time");
    onProgress(`${count} messages were left in the queues`);
  }

  async #disturb(endMs: number): Promise<void> {
    const { plan, faults } = this.#options;
    const [first, ...others] = faults;
    const { peace } = this.#target;
    const schedule =
      first === undefined ? [] : scheduleFaults(plan.seed, [first, ...others], peace);
    for (const fault of schedule) {
      if (performance.now() + fault.pauseMs >= endMs) break;
      await pause(fault.pauseMs);
      this.#target.assertAlive();
      await this.#inflict(fault);
    }
    await pause(Math.max(0, endMs - performance.now()));
  }

  /** A run is not over before its lie is told, however slow it is. */
  async #untilLied(): Promise<void> {
    const { sabotage, client } = this.#options;
    if (sabotage === undefined || client === "java") return;
    const said = await this.#processes[0]?.next(patienceMs);
    if (said !== "lied") throw new Error(`expected the lie to be told, found ${String(said)}`);
  }

  async #inflict(fault: Fault): Promise<void> {
    const { durationMs, share, bytes, way, delayMs } = fault;
    const isOfBroker = fault.kind === "kill" || fault.kind === "stop";
    const kind = isOfBroker && !this.#target.isWhole ? "cut" : fault.kind;
    this.#file.write({ kind: "fault", fault: kind, atMicroseconds: nowMicroseconds() });
    const shareText = `${Math.round(share * 100)} %`;
    const durationText = `${durationMs} ms`;
    const words = {
      ...{ kill: durationText, stop: durationText, cut: shareText },
      drop: `${shareText} ${way}`,
      delay: `${shareText} by ${delayMs} ms for ${durationText}`,
      ...{ part: durationText, disk: durationText, handover: "", roll: "" },
    };
    this.#options.onProgress(`${kind} ${words[kind]}`);
    const random = new Prng(bytes);
    const isChosen = (): boolean => random.chance(share);
    switch (kind) {
      case "kill":
        return this.#target.kill(durationMs);
      case "stop":
        this.#target.stop();
        await pause(durationMs);
        return this.#target.goOn();
      case "cut":
        return this.#target.cut(isChosen, bytes);
      case "drop":
        return this.#target.drop(isChosen, way);
      case "delay":
        this.#target.delay(isChosen, delayMs);
        await pause(durationMs);
        return this.#target.delay(() => true, 0);
      case "part":
      case "disk":
      case "handover":
      case "roll":
        return this.#target.harm?.(kind, durationMs);
    }
  }

  async #createQueues(admin: Connection): Promise<void> {
    const { addresses, queues } = this.#options.plan;
    for (const { name, address } of queues) {
      const target = addresses[address];
      if (target === undefined) throw new Error(`the queue ${name} has no address`);
      await admin.createQueue(name, { address: target.name, routing: target.routing });
    }
  }

  /** Queues with messages, in words. */
  async #leftIn(admin: Connection): Promise<string[]> {
    const words: string[] = [];
    for (const { name } of this.#options.plan.queues) {
      const { messageCount = 0, consumerCount = 0 } = (await admin.queueInfo(name)) ?? {};
      if (messageCount > 0)
        words.push(`${name}: ${messageCount} messages, ${consumerCount} consumers`);
    }
    return words;
  }

  /** Who does not answer is killed at the end; the checker finds promises that did not settle. */
  async #everybodySays(word: string): Promise<boolean> {
    const words = await Promise.all(this.#processes.map((child) => child.next(patienceMs)));
    for (const [index, said] of words.entries()) {
      if (said === word) continue;
      this.#options.onProgress(`process ${index} did not say "${word}"`);
    }
    return words.every((said) => said === word);
  }
}
