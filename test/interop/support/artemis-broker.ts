import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "#free-port";

import { artemisHome, type ArtemisVersion } from "./artifacts.ts";
import { TemporaryFolder } from "./folders.ts";
import { killGroup, runTool, succeed } from "./run-tool.ts";

export interface ArtemisOptions {
  /** Default `2.44.0`. */
  readonly version?: ArtemisVersion;
  /** Whether a user and a password are asked for. Default false: anonymous clients are let in. */
  readonly security?: boolean;
  /** XML put first into `<address-setting match="#">`; what is named there is taken out of the default. */
  readonly addressSettings?: string;
  /** The last word on `broker.xml`. */
  readonly brokerXml?: (xml: string) => string;
  /** Default true: NIO journal with `journal-datasync`, as `artemis create --nio` makes it. */
  readonly persistence?: boolean;
  /** What `artemis create` is told of the journal. Default an NIO one that is not tuned to the disk. */
  readonly journal?: readonly string[];
  /** Java's heap. Default `512M`. */
  readonly heap?: string;
  /** Where it listens. Default `127.0.0.1`. */
  readonly host?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** More words for `java`. */
  readonly javaArguments?: string;
  /** More words for `artemis create`. */
  readonly create?: readonly string[];
  /** What it writes when it has started. Default: it has when its port takes connections. */
  readonly startedWord?: string;
}

/** A real Artemis broker, started from its published distribution; its data go with it. */
export class ArtemisBroker implements AsyncDisposable {
  readonly kind = "artemis";
  readonly version: ArtemisVersion;
  /** What it wrote, over all its lives. */
  log = "";
  readonly user = "admin";
  readonly password = "admin";
  readonly port: number;
  readonly home: string;
  readonly #options: ArtemisOptions;
  readonly #folder: TemporaryFolder;
  #process: ChildProcess | undefined;

  private constructor(
    home: string,
    port: number,
    folder: TemporaryFolder,
    options: ArtemisOptions,
  ) {
    this.home = home;
    this.port = port;
    this.version = options.version ?? "2.44.0";
    this.#folder = folder;
    this.#options = options;
  }

  /** Makes an instance, starts it, and returns when it serves. */
  static async start(options: ArtemisOptions = {}): Promise<ArtemisBroker> {
    const home = await artemisHome(options.version ?? "2.44.0");
    const port = options.port ?? (await freePort());
    const broker = new ArtemisBroker(home, port, new TemporaryFolder(), options);
    try {
      await broker.#create();
      await broker.start();
    } catch (error) {
      await broker[Symbol.asyncDispose]();
      throw error;
    }
    return broker;
  }

  get url(): string {
    return `tcp://${this.#host}:${this.port}`;
  }

  /** Its acceptor speaks AMQP 1.0 on the same port. */
  get amqpUrl(): string {
    return `amqp://${this.#host}:${this.port}`;
  }

  get #host(): string {
    return this.#options.host ?? "127.0.0.1";
  }

  get instance(): string {
    return join(this.#folder.path, "instance");
  }

  /** Of the process that runs. @throws Error when none does */
  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error("the broker does not run");
    return pid;
  }

  /** Whether its process runs. */
  get isAlive(): boolean {
    const child = this.#process;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Whether it takes connections: a backup does not while it waits. */
  serves(): Promise<boolean> {
    return accepts(this.#host, this.port);
  }

  /** It stands still, with its connections open, until it is told to go on. */
  standStill(): void {
    process.kill(-this.pid, "SIGSTOP");
  }

  goOn(): void {
    process.kill(-this.pid, "SIGCONT");
  }

  /** The end of what it wrote, with what its threads do now when it runs. */
  async diagnosis(): Promise<string> {
    if (this.isAlive) {
      process.kill(-this.pid, "SIGQUIT");
      await delay(2000);
    }
    const state = this.isAlive ? "runs" : "has ended";
    return `Artemis ${this.version} ${state} and wrote:\n${this.log.slice(-40_000)}`;
  }

  /** Starts it again on the same data and the same port. @throws Error when it ends, or is not there in time */
  async start(limitMs = 180_000): Promise<void> {
    const { heap = "512M", javaArguments = "" } = this.#options;
    const child = spawn(join(this.instance, "bin", "artemis"), ["run"], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        JAVA_ARGS: `-Xms${heap} -Xmx${heap} -XX:+UseParallelGC ${javaArguments}`,
      },
      // A group of its own: the script may start Java as a child.
      detached: true,
    });
    this.#process = child;
    for (const output of [child.stdout, child.stderr]) {
      output.setEncoding("utf8").on("data", (text: string) => {
        this.log += text;
      });
    }
    const deadline = performance.now() + limitMs;
    const { length } = this.log;
    const word = this.#options.startedWord;
    while (!(word === undefined ? await this.serves() : this.log.includes(word, length))) {
      if (!this.isAlive || performance.now() > deadline) {
        throw new Error(`Artemis ${this.version} did not start:\n${this.log.slice(-4000)}`);
      }
      await delay(100);
    }
  }

  /** Ends it in order; its data stay. */
  async stop(): Promise<void> {
    const child = this.#process;
    if (child?.pid === undefined || child.exitCode !== null) return;
    const exit = once(child, "exit");
    const timer = setTimeout(() => killGroup(child.pid), 60_000);
    process.kill(-child.pid, "SIGTERM");
    await exit;
    clearTimeout(timer);
    this.#process = undefined;
  }

  /** Ends it at once; its data stay. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    killGroup(child.pid);
    await exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    this.#folder[Symbol.dispose]();
  }

  async #create(): Promise<void> {
    const options = this.#options;
    succeed(
      "artemis create",
      await runTool(join(this.home, "bin", "artemis"), [
        ...["create", this.instance, "--silent", "--user", this.user, "--password", this.password],
        options.security === true ? "--require-login" : "--allow-anonymous",
        ...["--no-hornetq-acceptor", "--no-mqtt-acceptor", "--no-stomp-acceptor"],
        ...["--no-amqp-acceptor", "--no-web", "--host", this.#host],
        ...(options.journal ?? ["--no-autotune", "--nio"]),
        ...["--default-port", String(this.port)],
        ...(options.persistence === false ? ["--disable-persistence"] : []),
        ...(options.create ?? []),
      ]),
    );
    const file = join(this.instance, "etc", "broker.xml");
    let xml = withAddressSettings(readFileSync(file, "utf8"), options.addressSettings ?? "");
    // The disk of a test machine may well be fuller than Artemis likes; then it would block producers.
    xml = xml.replace(/<max-disk-usage>\d+</, "<max-disk-usage>99<");
    writeFileSync(file, options.brokerXml?.(xml) ?? xml);
  }
}

/** Puts settings into those of every address, in the place of the defaults of the same names. */
function withAddressSettings(xml: string, settings: string): string {
  const open = '<address-setting match="#">';
  const [before = "", rest = ""] = xml.split(open);
  const end = rest.indexOf("</address-setting>");
  let defaults = rest.slice(0, end);
  for (const [, name = ""] of settings.matchAll(/<([a-z-]+)>/g)) {
    defaults = defaults.replace(new RegExp(`<${name}>[^<]*</${name}>`), "");
  }
  return `${before}${open}${settings}${defaults}${rest.slice(end)}`;
}

async function accepts(host: string, port: number): Promise<boolean> {
  const socket = connect(port, host);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
