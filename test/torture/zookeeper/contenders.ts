import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import type { Ensemble } from "#zookeeper/ensemble.js";
import { LeashedProcess } from "#zookeeper/leashed-process.js";
import { proxiesOf, type Proxies } from "#zookeeper/proxies.js";
import { until } from "#zookeeper/until.js";

import { formatSettings, type Command, type ContenderSettings } from "./contender-settings.ts";
import { nowMicroseconds, type TortureEvent } from "./history.ts";
import { LineLink } from "./line-link.ts";

/** One process that wants the lock, and the network between it and the servers. */
export interface Contender {
  readonly number: number;
  /** Another one after it was killed. */
  process: LeashedProcess;
  readonly proxies: Proxies;
  /** Its session as it told last. */
  sessionId: string;
}

/** What contenders are started with, each alike. */
export type SharedSettings = Pick<ContenderSettings, "sessionTimeout" | "contest" | "sabotage"> & {
  readonly seed: number;
  readonly processCount: number;
};

/** How long one may take to end: longer than any timeout of a client's, so what has not settled then never will. */
const patienceMs = 60_000;

/** The processes of a run: contenders and the store. They tell all that happens over connections to this one. */
export class Contenders implements AsyncDisposable {
  readonly all: Contender[] = [];
  /** Everything that was told, in the order in which it came. */
  readonly events: TortureEvent[] = [];
  /** By process: the turn that it has told the beginning and not the end of. */
  readonly #turns = new Map<number, number>();
  #newest = { process: -1, token: 0 };
  readonly #folder: string;
  readonly #links = new Map<number, LineLink>();
  readonly #server: Server;
  readonly #controlPort: number;
  /** What those wrote that were killed. */
  #outputBefore = "";
  #startCount = 0;
  #settings: Omit<ContenderSettings, "number" | "servers" | "seed"> | undefined;
  #seed = 0;
  #store: LeashedProcess | undefined;
  #storePort: number | undefined;

  private constructor(folder: string, server: Server, controlPort: number) {
    this.#folder = folder;
    this.#server = server;
    this.#controlPort = controlPort;
    server.on("connection", (socket) => {
      const link = new LineLink(socket);
      link.onValue((value) => this.#take(value, link));
    });
  }

  /** Starts the store and all contenders, and returns when each has a session. `folder` holds a folder for each. */
  static async start(
    ensemble: Ensemble,
    folder: string,
    shared: SharedSettings,
  ): Promise<Contenders> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port was given");
    const contenders = new Contenders(folder, server, address.port);
    try {
      await contenders.#startAll(ensemble, shared);
    } catch (error) {
      await contenders[Symbol.asyncDispose]();
      throw error;
    }
    return contenders;
  }

  /** Who has the lock, as far as is known here. */
  get holder(): Contender | undefined {
    const { process } = this.#newest;
    return this.#turns.has(process) ? this.all[process] : undefined;
  }

  /** Whether somebody else was given the lock while this one believes to have it, or has not heard that it has lost it. */
  isOvertaken({ number }: Contender): boolean {
    const token = this.#turns.get(number);
    return token !== undefined && token < this.#newest.token;
  }

  note(event: TortureEvent): void {
    this.events.push(event);
  }

  tell(contender: Contender, command: Command): void {
    this.#links.get(contender.number)?.send(command);
  }

  /** Kills one in whatever it does, and starts it again after `afterMs`; returns when it can be told something. */
  async killAndRestart(contender: Contender, afterMs: number): Promise<void> {
    const { number, process } = contender;
    const link = this.#links.get(number);
    const told = link?.closed();
    process.signal("SIGKILL");
    await process.ended(patienceMs);
    // What it had told is on the way to here.
    await told;
    this.#outputBefore += process.output;
    this.#turns.delete(number);
    contender.sessionId = "";
    this.note({ kind: "killed", process: number, at: nowMicroseconds() });
    await pause(afterMs);
    contender.process = this.#startContender(number, contender.proxies);
    await until(
      `contender ${number} is back`,
      () => this.#links.get(number) !== link || undefined,
      () => this.output,
    );
  }

  /** Asks all what they take. The answers are told later. */
  measure(): void {
    for (const contender of this.all) this.tell(contender, { command: "measure" });
  }

  /** Has all end; returns those that did not within their patience, which are killed. */
  async end(): Promise<Contender[]> {
    for (const contender of this.all) this.tell(contender, { command: "stop" });
    const late: Contender[] = [];
    await Promise.all(
      this.all.map(async (contender) => {
        const timer = setTimeout(() => late.push(contender), patienceMs - 1_000);
        await contender.process.ended(patienceMs);
        clearTimeout(timer);
      }),
    );
    return late;
  }

  /** Connections to servers that are still open. */
  get openCount(): number {
    return this.all.reduce((sum, { proxies }) => sum + proxies.openCount, 0);
  }

  /** What a process wrote to its outputs, which is nothing where all is well. */
  get output(): string {
    const processes = this.all.map(({ process }) => process);
    const outputs = [...processes, ...(this.#store ? [this.#store] : [])].map(
      ({ output }) => output,
    );
    return this.#outputBefore + outputs.join("");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const processes = this.all.map(({ process }) => process);
    for (const process of [...processes, ...(this.#store ? [this.#store] : [])]) {
      process.signal("SIGKILL");
      await process.ended(patienceMs);
    }
    for (const { proxies } of this.all) proxies[Symbol.dispose]();
    for (const link of this.#links.values()) await link.close();
    this.#server.close();
  }

  async #startAll(ensemble: Ensemble, shared: SharedSettings): Promise<void> {
    const { processCount, seed, ...alike } = shared;
    this.#store = this.#startProgram("store.client.js", "store", String(this.#controlPort));
    const storePort = await until(
      "the store listens",
      () => this.#storePort,
      () => this.output,
    );
    this.#settings = { ...alike, controlPort: this.#controlPort, storePort };
    this.#seed = seed * 1_000;
    for (let number = 0; number < processCount; number += 1) {
      const proxies = await proxiesOf(ensemble);
      const process = this.#startContender(number, proxies);
      this.all.push({ number, process, proxies, sessionId: "" });
    }
    await until(
      "all contenders are connected",
      () => this.all.every(({ sessionId }) => sessionId !== "") || undefined,
      () => this.output,
    );
  }

  #startContender(number: number, proxies: Proxies): LeashedProcess {
    if (this.#settings === undefined) throw new Error("nothing was started");
    this.#startCount += 1;
    const settings: ContenderSettings = {
      ...{ ...this.#settings, number, servers: proxies.connectString },
      seed: this.#seed + this.#startCount,
    };
    const name = `contender-${number}-${this.#startCount}`;
    return this.#startProgram("contender.client.js", name, formatSettings(settings));
  }

  #startProgram(program: string, name: string, argument: string): LeashedProcess {
    const folder = join(this.#folder, name);
    mkdirSync(folder);
    const path = fileURLToPath(new URL(program, import.meta.url));
    return new LeashedProcess([process.execPath, "--expose-gc", path, argument], folder);
  }

  #take(value: object, link: LineLink): void {
    if (isHello(value)) this.#links.set(value.process, link);
    else if (isListening(value)) this.#storePort = value.port;
    else if (isEvent(value)) this.#note(value);
    else throw new Error(`a process told ${JSON.stringify(value)}`);
  }

  #note(event: TortureEvent): void {
    this.events.push(event);
    if (event.kind === "over") this.#turns.delete(event.process);
    if (event.kind === "granted") {
      const { process, token } = event;
      this.#turns.set(process, token);
      if (token > this.#newest.token) this.#newest = { process, token };
    }
    if (event.kind !== "session") return;
    const contender = this.all[event.process];
    if (contender !== undefined) contender.sessionId = event.sessionId;
  }
}

function isHello(value: object): value is { kind: "contender"; process: number } {
  return "kind" in value && value.kind === "contender";
}

function isListening(value: object): value is { kind: "listens"; port: number } {
  return "kind" in value && value.kind === "listens";
}

function isEvent(value: object): value is TortureEvent {
  return "kind" in value && typeof value.kind === "string";
}
