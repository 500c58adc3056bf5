import { EverholdError, type Outcome, type Prng } from "@everhold/base";
import type { Ports } from "@everhold/env";
import { connect, type Connection, type ConnectOptions } from "@everhold/client";
import type { Machine } from "../world/machine.ts";
import type { World } from "../world/world.ts";
import { Ledger } from "./ledger.ts";
import type { Accounts } from "./accounts.ts";
import type { Oracle } from "./oracle.ts";
import type { Returns } from "./returns.ts";

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
  /** Tries again and again, where a former self or a password that is wrong just now may be in the way. */
  readonly insist: <T>(attempt: () => Promise<T>) => Promise<T>;
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
  /** What it gets instead of the machine's ports, where it is lied to. */
  readonly mutate: (ports: Ports) => Ports;
  readonly returns: Returns;
  /** Where the broker asks who comes. */
  readonly accounts: Accounts | undefined;
  readonly urls: readonly string[];
  readonly clientId?: string;
  readonly program: Program;
}

/** A machine with one client process on it, which is started again after each crash. */
export class ClientProcess {
  readonly #options: ClientProcessOptions;
  readonly #prng: Prng;
  /** Who shares a socket has to give the same credentials, so they are made once for each life. */
  #connectOptions: ConnectOptions;
  #ledger: Ledger | undefined;
  #connection: Connection | undefined;
  /** Shares its socket with the first; comes and goes. */
  #companion: Connection | undefined;
  #link = "none";
  #linkCount = 0;
  #ending = false;
  #finished = false;
  #ready = false;

  constructor(options: ClientProcessOptions) {
    this.#options = options;
    this.#prng = options.world.randomFor(`program ${options.machine.name}`);
    this.#connectOptions = pickOptions(options.world.randomFor(`options ${options.machine.name}`));
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
    const ports = this.#options.mutate(machine.start());
    const credentials = this.#options.accounts?.credentials(machine.name, ports);
    this.#connectOptions = { ...this.#connectOptions, ...credentials };
    const sleep = (delayMs: number): Promise<void> =>
      new Promise((resolve) => void ports.timers.after(delayMs, resolve));
    const ledger = new Ledger(
      (error) => world.fail(machine.name, error),
      (error) => this.#ask(error, sleep),
    );
    this.#ledger = ledger;
    this.#run(ports, ledger, sleep).catch((error: unknown) => world.fail(machine.name, error));
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
    this.#companion = undefined;
    world.after(this.#prng.fraction() * 3000, machine.name, "boots", () => this.start());
    return true;
  }

  /** Asks it to end and waits until it has. */
  async end(): Promise<void> {
    this.#ending = true;
    const connection = this.#connection;
    if (connection === undefined) return;
    await this.#ledger?.track("close", () => connection.close());
    await this.#ledger?.track("close companion", async () => this.#companion?.close());
  }

  /** What came over the connection's last life came over one that is broken. */
  #newLink(): void {
    const { machine, oracle } = this.#options;
    oracle.linkBroken(this.#link);
    this.#linkCount += 1;
    this.#link = `${machine.name} ${this.#linkCount}`;
  }

  async #run(
    ports: Ports,
    ledger: Ledger,
    sleep: (delayMs: number) => Promise<void>,
  ): Promise<void> {
    const { world, machine, oracle, program, returns } = this.#options;
    const connection = await this.#connect(ports, sleep);
    this.#connection = connection;
    this.#newLink();
    connection.on("disconnect", () => this.#newLink());
    connection.on("close", ({ error }) => {
      // What was right once will be right again.
      if (EverholdError.is(error, "EVH_SECURITY")) world.fail(machine.name, error);
    });
    returns.follow(connection);
    if (this.#connectOptions.shared !== undefined) {
      this.#accompany(ports, sleep).catch((error: unknown) => world.fail(machine.name, error));
    }
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
        insist: (attempt) => this.#insist(attempt, sleep),
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

  async #insist<T>(
    attempt: () => Promise<T>,
    sleep: (delayMs: number) => Promise<void>,
  ): Promise<T> {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        const isPassing = EverholdError.is(error) && error.retryable;
        if (!isPassing) this.#checkRefusal(error);
        await sleep(1000);
      }
    }
  }

  /** A second user of the same socket, who stays for a while and comes again. */
  async #accompany(ports: Ports, sleep: (delayMs: number) => Promise<void>): Promise<void> {
    while (!this.#ending && !this.#finished) {
      await sleep(this.#prng.fraction() * 3000);
      const companion = await this.#connect(ports, sleep);
      this.#companion = companion;
      await sleep(this.#prng.fraction() * 3000);
      this.#companion = undefined;
      await companion.close();
    }
  }

  /** Asks what became of something in doubt until it is known, now and then as another connection. */
  async #ask(doubt: EverholdError, sleep: (delayMs: number) => Promise<void>): Promise<Outcome> {
    const { world, machine, returns } = this.#options;
    for (;;) {
      await sleep(this.#prng.fraction() * 1000);
      const connection = this.#companion ?? this.#connection;
      if (connection === undefined) return "unknown";
      try {
        const { outcome } = await connection.outcome(doubt, { timeout: 5_000 });
        world.note(machine.name, "asked", `${doubt.code}: ${outcome}`);
        // What is on its way yet comes, or is decided when its session comes back.
        if (outcome === "notSeen") continue;
        if (outcome !== "unknown") returns.counts.doubtsResolved += 1;
        return outcome;
      } catch (error) {
        if (!EverholdError.is(error)) throw error;
        if (connection === this.#connection && error.code === "EVH_CLOSED") return "unknown";
      }
    }
  }

  /** A client may start while the broker is down, or while its former self still counts as connected. */
  async #connect(ports: Ports, sleep: (delayMs: number) => Promise<void>): Promise<Connection> {
    const { urls, clientId } = this.#options;
    for (;;) {
      try {
        return await connect(ports, urls, {
          ...this.#connectOptions,
          ...(clientId === undefined ? {} : { clientId }),
        });
      } catch (error) {
        if (!EverholdError.is(error, "EVH_DUPLICATE_METADATA")) this.#checkRefusal(error);
        await sleep(1000);
      }
    }
  }

  /** Who is told that the credentials are wrong has to have been refused. @throws what is no refusal */
  #checkRefusal(error: unknown): void {
    const { accounts, machine } = this.#options;
    const isRefusal = accounts !== undefined && EverholdError.is(error, "EVH_SECURITY");
    if (!isRefusal || !accounts.wasRefused(machine.name)) throw error;
  }
}

/** Each process has a way of its own to be connected. */
function pickOptions(prng: Prng): ConnectOptions {
  const confirmationWindow = prng.pick([undefined, undefined, 1, 3_000, -1]);
  return {
    reconnect: { initialAttempts: Infinity },
    ...(confirmationWindow === undefined ? {} : { confirmationWindow }),
    ...(prng.chance(0.4) ? { shared: true } : {}),
  };
}
