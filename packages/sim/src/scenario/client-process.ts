import { EverholdError, type Prng } from "@everhold/base";
import type { Ports } from "@everhold/env";
import { connect, type Connection } from "@everhold/client";
import type { Machine } from "../world/machine.ts";
import type { World } from "../world/world.ts";
import { Ledger } from "./ledger.ts";
import type { Oracle } from "./oracle.ts";

/** What the program of one process works with. */
export interface ProcessContext {
  /** Unique among all processes there ever were: the machine and how often it has booted. */
  readonly name: string;
  readonly connection: Connection;
  readonly ledger: Ledger;
  readonly oracle: Oracle;
  readonly prng: Prng;
  /** The name of the connection's present life. */
  readonly link: () => string;
  /** Writes something down in the trace. */
  readonly note: (what: string, detail: string) => void;
  readonly sleep: (delayMs: number) => Promise<void>;
  /** The time of day, in ms since 1970. */
  readonly wallMs: () => number;
  /** The program is set up: its queues exist and it listens to them. */
  readonly ready: () => void;
  /** Whether the scenario is over and the program should end. */
  readonly ending: () => boolean;
}

/** What a process does with its connection. Ends by itself, or when its connection closes. */
export type Program = (context: ProcessContext) => Promise<void>;

/** How a {@link ClientProcess} is made. */
export interface ClientProcessOptions {
  readonly world: World;
  readonly machine: Machine;
  readonly oracle: Oracle;
  readonly url: string;
  readonly clientId?: string;
  readonly program: Program;
}

/** A machine with one client process on it, which is started again after each crash. */
export class ClientProcess {
  readonly #options: ClientProcessOptions;
  readonly #prng: Prng;
  #ledger: Ledger | undefined;
  #connection: Connection | undefined;
  #link = "none";
  #linkCount = 0;
  #ending = false;
  #finished = false;
  #ready = false;

  constructor(options: ClientProcessOptions) {
    this.#options = options;
    this.#prng = options.world.randomFor(`program ${options.machine.name}`);
  }

  get name(): string {
    return this.#options.machine.name;
  }

  /** Whether its program has ended by itself. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Whether it was set up at least once. */
  get ready(): boolean {
    return this.#ready;
  }

  /** What it has begun and not ended. */
  get open(): readonly string[] {
    return this.#ledger?.open ?? [];
  }

  /** Starts it. */
  start(): void {
    const { world, machine } = this.#options;
    const ports = machine.start();
    const ledger = new Ledger((error) => world.fail(machine.name, error));
    this.#ledger = ledger;
    this.#run(ports, ledger).catch((error: unknown) => world.fail(machine.name, error));
  }

  /** Ends it without a word and starts it again after a while; false when there is nothing to end. */
  crash(options: { readonly power: boolean }): boolean {
    const { machine, oracle, world } = this.#options;
    if (!machine.running || this.#finished) return false;
    machine.crash(options);
    this.#ledger?.abandon();
    oracle.linkBroken(this.#link);
    this.#ledger = undefined;
    this.#connection = undefined;
    world.after(this.#prng.fraction() * 3000, machine.name, "boots", () => this.start());
    return true;
  }

  /** Asks it to end and waits until it has. */
  async end(): Promise<void> {
    this.#ending = true;
    const connection = this.#connection;
    if (connection === undefined) return;
    await this.#ledger?.track("close", () => connection.close());
  }

  /** What came over the connection's last life came over one that is broken. */
  #newLink(): void {
    const { machine, oracle } = this.#options;
    oracle.linkBroken(this.#link);
    this.#linkCount += 1;
    this.#link = `${machine.name} ${this.#linkCount}`;
  }

  async #run(ports: Ports, ledger: Ledger): Promise<void> {
    const { machine, oracle, program } = this.#options;
    const sleep = (delayMs: number): Promise<void> =>
      new Promise((resolve) => void ports.timers.after(delayMs, resolve));
    const connection = await this.#connect(ports, sleep);
    this.#connection = connection;
    this.#newLink();
    connection.on("disconnect", () => this.#newLink());
    try {
      await program({
        name: `${machine.name}.${machine.bootCount}`,
        connection,
        ledger,
        oracle,
        prng: this.#prng,
        link: () => this.#link,
        note: (what, detail) => this.#options.world.note(machine.name, what, detail),
        sleep,
        wallMs: () => ports.wallClock.nowMs(),
        ready: () => {
          this.#ready = true;
        },
        ending: () => this.#ending,
      });
    } catch (error) {
      // A program that waits for a message is told that its connection was closed.
      if (!this.#ending || !EverholdError.is(error, "EVH_CLOSED")) throw error;
    }
    this.#finished = true;
  }

  /** A client may start while the broker is down, or while its former self still counts as connected. */
  async #connect(ports: Ports, sleep: (delayMs: number) => Promise<void>): Promise<Connection> {
    const { url, clientId } = this.#options;
    for (;;) {
      try {
        return await connect(ports, url, {
          reconnect: { initialAttempts: Infinity },
          ...(clientId === undefined ? {} : { clientId }),
        });
      } catch (error) {
        if (!EverholdError.is(error, "EVH_DUPLICATE_METADATA")) throw error;
        await sleep(1000);
      }
    }
  }
}
