import type { Broker } from "@everhold/broker";
import type { Message } from "@everhold/client";
import type { SimDisk } from "../disk/sim-disk.ts";
import { worldDisk } from "../disk/world-disk.ts";
import { mutateRules, mutateSetup, type RuleMutation } from "../mutations/rule-mutations.ts";
import { SimNetwork } from "../network/sim-network.ts";
import { resultOf, type RunResult } from "../run-result.ts";
import { BrokerProcess } from "../scenario/broker-process.ts";
import { bodyOf } from "../scenario/content.ts";
import { brokerHost, brokerUrl } from "../scenario/everhold.ts";
import { Returns, type ReturnCounts } from "../scenario/returns.ts";
import { Machine } from "../world/machine.ts";
import { World } from "../world/world.ts";
import { Branches } from "./branches.ts";
import { Book, keyOfCopy, type Look } from "./book.ts";
import { ManagerSteps } from "./manager-steps.ts";
import { filterOf } from "./filters.ts";
import { HandedOut } from "./handed-out.ts";
import { deadLetterQueue, expiryQueue, keyOf } from "./model.ts";
import { observe } from "./observe.ts";
import { Operation } from "./operation.ts";
import { Performer } from "./performer.ts";
import { describeStep, type FaultStep, type Round, type RulesPlan, type Step } from "./program.ts";
import { randomPlan } from "./random-plan.ts";
import { findDeadlocked } from "./room-rules.ts";
import { RuleClient, type ClientListener, type RuleConsumer } from "./rule-client.ts";

/** What to run. */
export interface RulesOptions {
  readonly seed: number;
  /** A mistake to make on purpose. */
  readonly mutation?: RuleMutation | undefined;
  /** Instead of the program that follows from the seed. */
  readonly plan?: RulesPlan | undefined;
  readonly writeTrace?: (line: string) => void;
}

/** How it went. */
export interface RulesResult extends RunResult<RulesRunCounts> {
  readonly plan: RulesPlan;
}

/** How much was done. */
export interface RulesCounts {
  rounds: number;
  steps: number;
  deliveries: number;
  /** Messages that were looked at in queues at rest. */
  observed: number;
}

/** The same, with how clients came back after breaks. */
export type RulesRunCounts = RulesCounts & ReturnCounts;

/** Virtual ms in which everything must come to rest. */
const restMsMax = 300_000;
/** Rounds in which what is left is acknowledged; each makes room for more. */
const drainRoundsMax = 60;
/** Operations that have not ended by then may go on in the next round. */
const operationMsMax = 8_000;
/** How late a delivery may arrive that was handed out in time. */
const travelMsMax = 200;

/**
 * One seed of the rules: a random program runs round by round on a real broker and real clients, and after each
 * round every message must be where a naive model says that it can be.
 */
export async function runRules(options: RulesOptions): Promise<RulesResult> {
  return new RulesRun(options).run();
}

class RulesRun implements ClientListener {
  readonly #world: World;
  readonly #plan: RulesPlan;
  readonly #network: SimNetwork;
  readonly #disk: SimDisk;
  readonly #machine: Machine;
  readonly #broker: BrokerProcess;
  readonly #clients: readonly RuleClient[];
  readonly #mutation: RuleMutation | undefined;
  readonly #book: Book;
  readonly #exclusiveQueues: ReadonlySet<string>;
  readonly #performer: Performer;
  readonly #branches: Branches;
  readonly #manager: ManagerSteps;
  readonly #faults: Record<string, number> = {};
  readonly #returns = new Returns();
  readonly #handedOut = new HandedOut(() => this.#wallMs());
  readonly #counts: RulesCounts = { rounds: 0, steps: 0, deliveries: 0, observed: 0 };
  /** Virtual ms at which the faults of this round are over. */
  #faultsEndMs = 0;
  #upSinceMs = 0;
  /** Virtual ms until when the disk may be full, or may have been when something was sent. */
  #diskFullUntilMs = 0;
  /** By the broker's clock, when the round began. */
  #beganMs = 0;
  #known: object | undefined;
  #crashes = 0;
  #restarts = 0;
  #breaks = 0;
  /** Whose connections broke because the broker died. */
  readonly #cutByCrash = new Set<RuleClient>();
  /** Who was about to connect when the broker died, and has no connection since. */
  readonly #stoppedByCrash = new Set<RuleClient>();

  constructor({ seed, plan, mutation, writeTrace }: RulesOptions) {
    this.#world = new World(writeTrace === undefined ? { seed } : { seed, writeTrace });
    this.#mutation = mutation;
    this.#plan = plan ?? randomPlan(this.#world.randomFor("rules plan"));
    const { setup } = this.#plan;
    this.#network = new SimNetwork(this.#world);
    this.#disk = worldDisk(this.#world, brokerHost);
    this.#disk.faults.delayMsMax = setup.diskDelayMsMax;
    this.#machine = this.#newMachine(brokerHost, this.#disk);
    this.#book = new Book(setup);
    const exclusive = setup.queues.filter(({ isExclusive }) => isExclusive);
    this.#exclusiveQueues = new Set(exclusive.map(({ name }) => name));
    const {
      segmentBytes,
      snapshotBytes,
      tailCacheBytes,
      maxDeliveryAttempts,
      redelivery,
      fullness,
    } = mutateSetup(setup, mutation);
    this.#broker = new BrokerProcess({
      world: this.#world,
      machine: this.#machine,
      disk: this.#disk,
      mutate: (ports) => mutateRules(ports, mutation),
      onFrame: (frame) => {
        this.#returns.onFrame(frame);
        this.#handedOut.onFrame(frame);
      },
      setup: {
        journal: { segmentBytes, snapshotBytes, tailCacheBytes },
        maxSizeBytes: -1,
        addressFullPolicy: "block",
        maxDeliveryAttempts,
        more: {
          redeliveryDelay: redelivery.delayMs,
          redeliveryDelayMultiplier: redelivery.multiplier,
          maxRedeliveryDelay: redelivery.delayMaxMs,
          redeliveryMode: redelivery.isBlocking ? "blocking" : "nonBlocking",
        },
        moreByMatch: {
          first: { maxSizeBytes: fullness.maxSizeBytes, addressFullPolicy: fullness.policy },
          // Two messages that were one would be dead letters of one name.
          [expiryQueue]: { maxDeliveryAttempts: -1 },
        },
      },
      onEnded: (how) => this.#onBrokerEnded(how),
    });
    this.#clients = Array.from({ length: setup.clientCount }, (_, index) => {
      const name = `client-${index + 1}`;
      const machine = this.#newMachine(name, worldDisk(this.#world, name));
      machine.jumpWallClock(-setup.clientsBehindMs);
      const target = { url: brokerUrl, minLargeBytes: setup.minLargeBytes, returns: this.#returns };
      return new RuleClient(this.#world, machine, target, this);
    });
    const note = (what: string, detail: string): void => this.#world.note("rules", what, detail);
    this.#performer = new Performer({
      setup,
      clients: this.#clients,
      book: this.#book,
      prng: this.#world.randomFor("bodies"),
      wallMs: () => this.#wallMs(),
      isDiskFull: () => this.#world.nowMs < this.#diskFullUntilMs,
      onProblem: (text) => this.#fail(text),
      note,
    });
    this.#branches = new Branches(this.#performer, (text) => this.#fail(text));
    this.#manager = new ManagerSteps({
      book: this.#book,
      broker: () => this.#broker.broker,
      note,
      onBug: (error) => this.#world.fail("manager", error),
    });
  }

  async run(): Promise<RulesResult> {
    const passed = (await this.#setUp()) && (await this.#perform()) && (await this.#finish());
    if (passed) await this.#recover();
    const counts = { ...this.#counts, ...this.#returns.counts };
    return { ...resultOf(this.#world, { faults: this.#faults, counts }), plan: this.#plan };
  }

  onArrival(consumer: RuleConsumer, message: Message): void {
    this.#counts.deliveries += 1;
    const { properties, deliveryCount } = message;
    const id = String(properties["id"]);
    const origin = properties["_AMQ_ORIG_QUEUE"];
    const from = typeof origin === "string" ? origin : "";
    this.#world.note(consumer.name, "gets", `${id} from ${consumer.queue} ${deliveryCount}`);
    const wallMs = this.#wallMs();
    const isLate = this.#mayNotKnowOfCrash(consumer.client);
    const arrived = { id, origin: from, deliveryCount, wallMs, isLate };
    const copy = this.#book.arrived(arrived, consumer);
    const copyKey = keyOf(id, consumer.queue, from);
    for (const { consumers } of this.#clients) {
      for (const one of consumers) one.held = one.held.filter((held) => held.copyKey !== copyKey);
    }
    consumer.held.push({ copyKey, message, settling: undefined });
    if (message.text() !== bodyOf(id, Number(properties["chars"]))) {
      this.#fail(`body: ${copyKey} came damaged`);
    }
    if (copy === undefined) return;
    if (copy.dueMs > wallMs) {
      this.#fail(`delivery: ${copyKey} came ${copy.dueMs - wallMs} ms too early`);
    }
    const handedOutMs = this.#handedOut.firstMs(id, deliveryCount) ?? wallMs;
    const slackMs = travelMsMax + Math.max(0, this.#faultsEndMs - this.#world.nowMs + 3_000);
    if (copy.expiresMs !== 0 && copy.expiresMs + slackMs < handedOutMs) {
      this.#fail(`delivery: ${copyKey} came ${wallMs - copy.expiresMs} ms after it had expired`);
    }
    if (!consumer.takes(copy.message)) {
      this.#fail(`filter: ${copyKey} came to ${consumer.name}, which does not want it`);
    }
  }

  onBroken(client: RuleClient): void {
    const isByCrash = this.#cutByCrash.delete(client);
    if (!isByCrash) this.#breaks += 1;
    const high = isByCrash ? 0 : 1;
    const cause = {};
    for (const copy of this.#book.heldBy(client.consumers)) {
      this.#book.returnCopy(copy, { low: 0, high, cause });
    }
    const { transaction } = client;
    if (transaction === undefined) return;
    transaction.isBroken = true;
    for (const { copy } of transaction.acks) this.#book.returnCopy(copy, { low: 0, high, cause });
  }

  async #setUp(): Promise<boolean> {
    this.#broker.start();
    if (!(await this.#reach("the broker starts", () => this.#broker.broker !== undefined)))
      return false;
    for (const client of this.#clients) client.start();
    const isUp = (): boolean => this.#clients.every(({ isConnected }) => isConnected);
    if (!(await this.#reach("the clients connect", isUp))) return false;
    const connection = this.#clients[0]?.connection;
    if (connection === undefined) return false;
    const create = async (): Promise<void> => {
      for (const queue of mutateSetup(this.#plan.setup, this.#mutation).queues) {
        const text = filterOf(queue.filter)?.text;
        await connection.createQueue(queue.name, {
          address: queue.address,
          routing: queue.routing,
          exclusive: queue.isExclusive,
          ...(text === undefined ? {} : { filter: text }),
          ...(queue.isLastValue ? { lastValue: true, lastValueKey: "key" } : {}),
          ...(queue.ringSize < 0 ? {} : { ringSize: queue.ringSize }),
        });
      }
      for (const name of [deadLetterQueue, expiryQueue]) await connection.createQueue(name);
    };
    let created = false;
    create()
      .then(() => (created = true))
      .catch((error: unknown) => this.#world.fail("set up", error));
    return this.#reach("the queues exist", () => created);
  }

  async #perform(): Promise<boolean> {
    for (const round of this.#plan.rounds) {
      if (!(await this.#performRound(round))) return false;
    }
    return true;
  }

  /** Everything that is left must be delivered, and be gone once it is acknowledged. */
  async #finish(): Promise<boolean> {
    this.#world.note("rules", "finishes");
    const [first] = this.#clients;
    if (first !== undefined) {
      first.track(new Operation("decide all branches"), this.#branches.finish(first));
    }
    for (const client of this.#clients) {
      this.#performer.rollBack(client);
      for (const consumer of client.consumers) this.#performer.closeConsumer(consumer);
    }
    for (const queue of this.#book.paused) this.#manager.switch(queue, "resume");
    if (!(await this.#rest(40_000))) return false;
    this.#consume(this.#clients);
    if (!(await this.#rest(0))) return false;
    // Sends that waited for room go on now.
    for (let count = 0; count < drainRoundsMax && this.#book.copies.length > 0; count += 1) {
      if (!(await this.#endDeadlock())) return false;
      this.#performer.acknowledgeAll();
      if (!(await this.#rest(0))) return false;
    }
    const left = this.#book.copies.map(keyOfCopy);
    if (left.length > 0) this.#fail(`content: never came or never went: ${left.join(", ")}`);
    return left.length === 0;
  }

  /** Opens consumers of all queues, which are spread over all clients, as far as these are to have them. */
  #consume(owners: readonly RuleClient[]): void {
    const options = { prefetch: 1_000, filter: -1, transacted: false };
    this.#book.queueNames.forEach((_, queue) => {
      const owner = this.#clients[queue % this.#clients.length];
      if (owner === undefined || !owners.includes(owner)) return;
      this.#performer.open({ do: "open", client: queue, queue, ...options });
    });
  }

  /** An application that waits for itself gives up, as people would have it do. */
  async #endDeadlock(): Promise<boolean> {
    const waiting = findDeadlocked(this.#clients, this.#book.copies, this.#plan.setup.fullness);
    if (waiting === undefined) return true;
    this.#world.note("rules", "gives up", waiting.name);
    waiting.crash(1_000);
    if (!(await this.#rest(0))) return false;
    this.#consume([waiting]);
    return this.#rest(0);
  }

  /** The broker stops in order; what it leaves on the disk must be what it knew. */
  async #recover(): Promise<boolean> {
    let stopped = false;
    const before = this.#broker.broker?.fingerprint();
    this.#broker
      .stop()
      .then(() => (stopped = true))
      .catch((error: unknown) => this.#world.fail(brokerHost, error));
    if (!(await this.#reach("the broker stops", () => stopped))) return false;
    this.#broker.compareRecoveries(before);
    return this.#reach("the folder is recovered twice", () => !this.#broker.checking);
  }

  async #performRound({ steps, restMs }: Round): Promise<boolean> {
    this.#counts.rounds += 1;
    this.#world.note("rules", "round", this.#counts.rounds);
    if (this.#mutation === "bury-twice") this.#manager.buryTwice();
    for (const step of steps) {
      this.#counts.steps += 1;
      this.#world.note("rules", "step", describeStep(step));
      this.#start(step);
    }
    return this.#rest(restMs);
  }

  #start(step: Step): void {
    switch (step.do) {
      case "send":
        return this.#performer.send(step);
      case "open":
        return this.#performer.open(step);
      case "close":
        return this.#performer.close(step);
      case "settle":
        return this.#performer.settle(step);
      case "commit":
      case "rollback":
        return this.#performer.end(step);
      case "prepare":
      case "decide": {
        const client = this.#clients[step.client % this.#clients.length];
        if (client === undefined) return undefined;
        if (step.do === "prepare") return this.#branches.prepare(client, step);
        return this.#branches.decide(client, step);
      }
      case "browse":
        return this.#performer.browse(step);
      case "manage":
        return this.#manager.perform(step);
      case "fault":
        this.#faultsEndMs = this.#world.nowMs + step.afterMs + step.durationMs;
        this.#world.after(step.afterMs, "rules", "fault due", () => this.#strike(step));
    }
  }

  #strike(step: FaultStep): void {
    if (!this.#struck(step)) return;
    this.#faults[step.fault] = (this.#faults[step.fault] ?? 0) + 1;
    this.#world.note("rules", "FAULT", step.fault);
  }

  #struck({ fault, durationMs, client }: FaultStep): boolean {
    const broker = this.#broker;
    switch (fault) {
      case "kill broker":
        return broker.crash({ power: false });
      case "power off broker":
        return broker.crash({ power: true });
      case "kill broker while writing":
        return broker.crashWhileWriting({ power: false });
      case "power off broker while writing":
        return broker.crashWhileWriting({ power: true });
      case "restart broker":
        return broker.restart();
      case "crash client":
        return this.#clients[client % this.#clients.length]?.crash(durationMs) ?? false;
      case "cut":
        return this.#network.cutOne();
      case "stall":
        return this.#network.stallOne(durationMs);
      case "fill disk":
        this.#disk.capacityBytes = this.#disk.usedBytes + 1_000 * (durationMs % 40);
        this.#diskFullUntilMs = this.#world.nowMs + durationMs + 20_000;
        this.#world.after(durationMs, brokerHost, "disk has room again", () => {
          this.#disk.capacityBytes = Number.MAX_SAFE_INTEGER;
        });
        return true;
    }
  }

  /** Waits until everything stands still, then compares what there is with what there may be. */
  async #rest(restMs: number): Promise<boolean> {
    const atLeastMs = this.#world.nowMs + restMs;
    const operationsMs = Math.max(atLeastMs, this.#world.nowMs) + operationMsMax;
    const hasRested = (): boolean =>
      this.#world.nowMs >= Math.max(atLeastMs, this.#faultsEndMs) && this.#isUp();
    if (!(await this.#reach("the faults are over", hasRested))) return false;
    const isDone = (): boolean => this.#open().length === 0 || this.#world.nowMs >= operationsMs;
    if (!(await this.#reach("the operations end", isDone))) return false;
    this.#broker.disarm();
    let look: Look | undefined;
    for (let attempt = 0; attempt < 100 && look === undefined; attempt += 1) {
      if (!(await this.#reach("everybody is up", () => this.#isUp()))) return false;
      look = await this.#observeStill();
      if (this.#world.failures.length > 0) return false;
    }
    if (look === undefined) this.#fail("the broker never comes to rest");
    return look !== undefined && this.#check(look);
  }

  #check(look: Look): boolean {
    const holders = this.#clients.flatMap(({ consumers }) => consumers);
    const { problems, found } = this.#book.rest(look, holders, {
      wallMs: this.#wallMs(),
      upSinceMs: this.#upSinceMs,
      crashes: this.#crashes,
      restarts: this.#restarts,
      breaks: this.#breaks,
      maxDeliveryAttempts: this.#plan.setup.maxDeliveryAttempts,
      redelivery: this.#plan.setup.redelivery,
      exclusiveQueues: this.#exclusiveQueues,
      beganMs: this.#beganMs,
    });
    for (const problem of problems) this.#fail(problem);
    this.#counts.observed += found;
    this.#beganMs = this.#wallMs();
    this.#crashes = 0;
    this.#restarts = 0;
    this.#breaks = 0;
    this.#cutByCrash.clear();
    this.#stoppedByCrash.clear();
    this.#manager.forget();
    for (const consumer of holders) {
      consumer.held = consumer.held.filter(({ copyKey }) => {
        const copy = this.#book.copyOf(copyKey);
        if (copy === undefined) return this.#book.hasStrayed(copyKey);
        const newest = copy.arrivals.at(-1);
        if (newest !== undefined) return newest.holder === consumer;
        return copy.place === "held" && copy.holder === consumer;
      });
      for (const held of consumer.held) {
        if (held.settling?.fate !== "pending") held.settling = undefined;
      }
    }
    return problems.length === 0;
  }

  /** What the broker has, when it says the same twice and everybody answers; else `undefined`. */
  async #observeStill(): Promise<Look | undefined> {
    const { broker } = this.#broker;
    if (broker === undefined) return undefined;
    if (!(await this.#within(this.#askAll()))) return undefined;
    let previous = "";
    for (let count = 0; count < 2; count += 1) {
      if (!(await this.#wait(100))) return undefined;
      const look = await this.#within(this.#look(broker));
      if (look === undefined || this.#broker.broker !== broker || !this.#isUp()) return undefined;
      const text = JSON.stringify(look.observed);
      if (text === previous) return look;
      previous = text;
    }
    return undefined;
  }

  async #look(broker: Broker): Promise<Look> {
    const observed = await observe(broker, this.#book.queueNames);
    return { observed, asOf: this.#book.tick() };
  }

  /** Whatever was on its way before the question has arrived with the answer. */
  async #askAll(): Promise<boolean> {
    for (const { connection } of this.#clients) await connection?.queueInfo("first");
    return true;
  }

  /** What a promise gives within a while; `undefined` when it does not. */
  async #within<T>(promise: Promise<T>): Promise<T | undefined> {
    let result: { readonly value: T | undefined } | undefined;
    promise.then(
      (value) => (result = { value }),
      () => (result = { value: undefined }),
    );
    const endMs = this.#world.nowMs + 15_000;
    while (result === undefined && this.#world.nowMs < endMs) {
      if (!(await this.#wait(10))) return undefined;
    }
    return result?.value;
  }

  #open(): readonly { readonly what: string }[] {
    return [...this.#clients.flatMap(({ open }) => open), ...this.#manager.open];
  }

  #isUp(): boolean {
    const { broker } = this.#broker;
    if (broker !== this.#known) {
      this.#known = broker;
      this.#upSinceMs = this.#wallMs();
    }
    if (broker === undefined || this.#broker.checking) return false;
    // What a client had that died is its session's until that has waited for it in vain.
    if (broker.parkedSessionCount > 0) return false;
    // Nor is anything handed out of the queues of a session that may come back after a restart; one that was closed
    // meanwhile does not.
    if (broker.awaitedSessionCount > 0) return false;
    return this.#clients.every(({ isConnected }) => isConnected);
  }

  #onBrokerEnded(how: "crash" | "stop"): void {
    this.#handedOut.onEnded();
    this.#book.brokerStopped(how === "crash");
    this.#manager.doubt();
    if (how === "stop") {
      this.#restarts += 1;
      return;
    }
    this.#crashes += 1;
    for (const client of this.#clients) {
      if (client.isConnected) this.#cutByCrash.add(client);
      else this.#stoppedByCrash.add(client);
    }
  }

  /** Whether what a client gets may have been on its way to it when the broker died. */
  #mayNotKnowOfCrash(client: RuleClient): boolean {
    if (client.isConnected) this.#stoppedByCrash.delete(client);
    return this.#cutByCrash.has(client) || this.#stoppedByCrash.has(client);
  }

  async #wait(durationMs: number): Promise<boolean> {
    const end = await this.#world.run({ timeMs: this.#world.nowMs + durationMs });
    if (end === "failure") return false;
    this.#broker.broker?.assertInvariants();
    return true;
  }

  async #reach(what: string, condition: () => boolean): Promise<boolean> {
    const endMs = this.#world.nowMs + restMsMax;
    while (this.#world.nowMs < endMs) {
      if (condition()) return true;
      if (!(await this.#wait(20))) return false;
    }
    const open = this.#open().map((one) => one.what);
    this.#fail(`not within ${restMsMax / 1000} s: ${what}; open are ${open.join(", ")}`);
    return false;
  }

  #wallMs(): number {
    return this.#machine.latestWallMsSince(this.#world.nowMs);
  }

  #fail(text: string): void {
    this.#world.fail("rules", new Error(text));
  }

  #newMachine(name: string, disk: SimDisk): Machine {
    return new Machine({ world: this.#world, network: this.#network, name, disk });
  }
}
