import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";

import { classPathOf, type ZooKeeperVersion } from "./class-path.ts";
import { LeashedProcess } from "./leashed-process.ts";
import { until } from "./until.ts";

/** Where a server stands in its ensemble, as it says itself. */
export type ServerMode = "leader" | "follower" | "standalone" | "observer" | "read-only";

export interface ServerOptions {
  readonly version: ZooKeeperVersion;
  /** An empty folder of its own. */
  readonly folder: string;
  readonly clientPort: number;
  /** Lines of `zoo.cfg` by their names, besides or in the place of the usual ones. */
  readonly properties?: Readonly<Record<string, string | number | boolean>>;
  /** Where clients come with TLS, if they can. */
  readonly secureClientPort?: number;
  /** Put into its folder before it starts; `zoo.cfg` may name them as they are named here. */
  readonly files?: Readonly<Record<string, string>>;
  /** Words for `java`. */
  readonly javaArguments?: readonly string[];
  /** Its number in the ensemble. Default: it stands alone. */
  readonly id?: number;
}

const usualProperties = {
  tickTime: 500,
  initLimit: 40,
  syncLimit: 10,
  maxSessionTimeout: 60_000,
  clientPortAddress: "127.0.0.1",
  maxClientCnxns: 0,
  "admin.enableServer": false,
  "4lw.commands.whitelist": "*",
  // The disk of a test machine is shared, and these data live for seconds.
  forceSync: "no",
};

/** Somebody else listens where a server was to. */
export class PortTakenError extends Error {}

/** A real ZooKeeper server as a process of its own, which ends when this one does. */
export class ZooKeeperServer implements AsyncDisposable {
  readonly clientPort: number;
  readonly securePort: number | undefined;
  readonly version: ZooKeeperVersion;
  /** Its number in the ensemble, 0 where it stands alone. */
  readonly id: number;
  readonly #options: ServerOptions;
  #process: LeashedProcess | undefined;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.clientPort = options.clientPort;
    this.securePort = options.secureClientPort;
    this.version = options.version;
    this.id = options.id ?? 0;
  }

  /** As in a connect string. */
  get address(): string {
    return `127.0.0.1:${this.clientPort}`;
  }

  /** What its latest life wrote. */
  get log(): string {
    return this.#process?.output ?? "";
  }

  /** @throws Error when it never ran */
  get pid(): number {
    if (this.#process === undefined) throw new Error("the server was not started");
    return this.#process.pid;
  }

  /** Where its configuration and its data are. */
  get folder(): string {
    return this.#options.folder;
  }

  /** Whether its process runs or stands still. */
  get isAlive(): boolean {
    return this.#process?.isAlive === true;
  }

  /** Starts its process, on the data that it has; {@link serves} says when it serves. */
  async start(): Promise<void> {
    const { version, folder, javaArguments = [], files = {} } = this.#options;
    const classPath = await classPathOf(version);
    mkdirSync(join(folder, "data"), { recursive: true });
    if (this.id !== 0) writeFileSync(join(folder, "data", "myid"), `${this.id}\n`);
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(folder, name), content);
    }
    const lines = Object.entries({
      dataDir: join(folder, "data"),
      clientPort: this.clientPort,
      ...(this.securePort === undefined ? {} : secureProperties(this.securePort)),
      ...usualProperties,
      ...this.#options.properties,
    });
    const configuration = join(folder, "zoo.cfg");
    writeFileSync(configuration, lines.map(([name, value]) => `${name}=${value}\n`).join(""));
    this.#process = new LeashedProcess(
      [
        "java",
        ...["-Xms32m", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"],
        ...["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dzookeeper.jmx.log4j.disable=true"],
        ...javaArguments,
        ...["-cp", classPath, "org.apache.zookeeper.server.quorum.QuorumPeerMain", configuration],
      ],
      folder,
    );
  }

  /** Returns when it serves clients. */
  async serves(): Promise<ServerMode> {
    return until(
      `server ${this.id} of ZooKeeper ${this.version} serves`,
      async () => {
        if (this.log.includes("java.net.BindException")) throw new PortTakenError(this.#logEnd());
        if (!this.isAlive) throw new Error(`ZooKeeper ${this.version} ended: ${this.#logEnd()}`);
        return this.mode();
      },
      () => this.#logEnd(),
    );
  }

  /** What it is now; `undefined` while it serves nobody. */
  async mode(): Promise<ServerMode | undefined> {
    const [, word] = /^Mode: (\S+)$/m.exec(await this.command("srvr")) ?? [];
    return modes.find((mode) => mode === word);
  }

  /**
   * Sends a command of four letters to the client's port.
   *
   * @returns the answer; what there is of it after a second, where a server stands still
   */
  async command(word: string): Promise<string> {
    const socket = connect(this.clientPort, "127.0.0.1");
    let answer = "";
    socket.setTimeout(1000, () => socket.destroy());
    socket.setEncoding("utf8").on("data", (text: string) => {
      answer += text;
    });
    // A server that is starting refuses, one that was killed breaks off; both have said nothing.
    socket.on("error", () => undefined);
    socket.write(word);
    await new Promise((resolve) => socket.once("close", resolve));
    return answer;
  }

  /** What it is now, and the end of its log. */
  async describe(): Promise<string> {
    const state = this.isAlive ? ((await this.mode()) ?? "serves nobody") : "does not run";
    return `server ${this.id} of ZooKeeper ${this.version} at ${this.address}: ${state}\n${this.#logEnd()}`;
  }

  /** It stands still, with its connections open, until it is told to go on. */
  standStill(): void {
    this.#process?.signal("SIGSTOP");
  }

  goOn(): void {
    this.#process?.signal("SIGCONT");
  }

  /** Ends it in order; its data stay. */
  async stop(): Promise<void> {
    this.#process?.signal("SIGTERM");
    await this.#process?.ended(30_000);
  }

  /** Ends it at once; its data stay. */
  async kill(): Promise<void> {
    this.#process?.signal("SIGKILL");
    await this.#process?.ended(30_000);
  }

  /** Removes the data of a server that does not run. */
  wipe(): void {
    rmSync(join(this.#options.folder, "data"), { recursive: true, force: true, maxRetries: 5 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #logEnd(): string {
    return this.log.slice(-4000);
  }
}

function secureProperties(port: number): ServerOptions["properties"] {
  return {
    secureClientPort: port,
    secureClientPortAddress: "127.0.0.1",
    serverCnxnFactory: "org.apache.zookeeper.server.NettyServerCnxnFactory",
  };
}

const modes: readonly ServerMode[] = ["leader", "follower", "standalone", "observer", "read-only"];
