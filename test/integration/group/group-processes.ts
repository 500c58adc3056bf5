import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { freePort } from "../free-port.ts";
import { spawnLeashed } from "../leash.ts";

const command = fileURLToPath(
  new URL("../../../../packages/cli/bin/everhold.mjs", import.meta.url),
);

/** One member of the group: a process of the `everhold` command, which ends when this one does, and its data folder. */
export class MemberProcess {
  readonly id: string;
  readonly port: number;
  readonly dataFolder: string;
  readonly lines: string[] = [];
  /** Where its monitor listens, if it has one. */
  monitorUrl = "";
  /** Whether clients are let in, as its log says. */
  isServing = false;
  /** What Node itself is told when it is started. */
  nodeArguments: readonly string[] = [];
  readonly #configFile: string;
  #process: ChildProcess | undefined;

  constructor(id: string, port: number, folder: string) {
    this.id = id;
    this.port = port;
    this.dataFolder = join(folder, "data");
    this.#configFile = join(folder, "everhold.json");
  }

  /** Where clients reach it. */
  get url(): string {
    return `tcp://127.0.0.1:${this.port}`;
  }

  configure(config: object): void {
    writeFileSync(this.#configFile, JSON.stringify(config));
  }

  start(): void {
    const process = spawnLeashed(
      globalThis.process.execPath,
      [
        ...this.nodeArguments,
        ...[command, "run", "--config", this.#configFile, "--log-format", "json"],
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    this.#process = process;
    process.once("exit", () => {
      if (this.#process === process) this.isServing = false;
    });
    if (process.stderr === null) throw new Error("the process has no standard error");
    createInterface({ input: process.stderr }).on("line", (line) => {
      this.lines.push(line);
      if (line.includes("The broker serves")) this.isServing = true;
      if (line.includes("This member is a backup again")) this.isServing = false;
    });
  }

  /** Of the process that runs. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  get isRunning(): boolean {
    return this.#process !== undefined && !hasEnded(this.#process);
  }

  /** It stands still, with its connections open, or goes on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#process?.kill(signal);
  }

  /** `SIGKILL`: nothing is told to anybody. `SIGTERM`: in order. @returns the exit code; null after SIGKILL */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    const process = this.#process;
    this.#process = undefined;
    this.isServing = false;
    if (process === undefined || hasEnded(process)) return process?.exitCode ?? null;
    const exited = once(process, "exit");
    process.kill(signal);
    await exited;
    return process.exitCode;
  }
}

/** By itself, or by a signal. */
function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** What else the configuration of a member says. */
type More = object & { readonly group?: Readonly<Record<string, unknown>> };

/** A group of members on this machine, each in a process of its own. */
export class GroupProcesses {
  readonly members: readonly MemberProcess[];
  readonly #folder: string;

  private constructor(folder: string, members: readonly MemberProcess[]) {
    this.#folder = folder;
    this.members = members;
  }

  /**
   * `settling`: what the configuration says of what settles who leads, of all or of one by its id and the port of its
   * links. Default: a folder. With `monitorToken` each has a monitor. `more`: what else the configuration of each says,
   * who listens for clients at this port; in `group` of its part in the group.
   */
  static async make(
    ids: readonly string[],
    minInSync: number,
    settling?:
      | Readonly<Record<string, unknown>>
      | ((id: string, linksPort: number) => Promise<object>),
    monitorToken?: string,
    more: (index: number, port: number) => More | Promise<More> = () => ({}),
  ): Promise<GroupProcesses> {
    const folder = mkdtempSync(join(tmpdir(), "everhold-group-"));
    const members: MemberProcess[] = [];
    for (const [index, id] of ids.entries()) {
      const own = join(folder, id);
      mkdirSync(own);
      const member = new MemberProcess(id, await freePort(), own);
      if (monitorToken !== undefined) member.monitorUrl = `http://127.0.0.1:${await freePort()}`;
      const linksPort = await freePort();
      const { group: moreOfGroup, ...moreOfAll } = await more(index, member.port);
      member.configure({
        name: id,
        data: "data",
        acceptors: { core: { url: `tcp://127.0.0.1:${member.port}` } },
        journal: { fileSize: "1MiB", snapshotSize: "1MiB" },
        ...(monitorToken === undefined
          ? {}
          : { monitor: { url: member.monitorUrl, token: monitorToken } }),
        group: {
          name: "orders",
          member: id,
          founds: index === 0,
          secret: "a secret of this test",
          links: { url: `tcp://127.0.0.1:${linksPort}` },
          ...(typeof settling === "function"
            ? await settling(id, linksPort)
            : (settling ?? { folder: join(folder, "group") })),
          minInSync,
          timing: { steady: "500ms" },
          ...moreOfGroup,
        },
        ...moreOfAll,
      });
      members.push(member);
    }
    return new GroupProcesses(folder, members);
  }

  /** What settles who leads, where that is a folder. */
  get sharedFolder(): string {
    return join(this.#folder, "group");
  }

  get urls(): readonly string[] {
    return this.members.map(({ url }) => url);
  }

  /** Who serves clients; the only one. */
  get live(): MemberProcess | undefined {
    return this.members.find(({ isServing }) => isServing);
  }

  /** The in-sync set as the live tells it. */
  get inSync(): readonly string[] {
    const told = this.live?.lines.findLast((line) => line.includes("The in-sync set is"));
    return (/"inSync":"([^"]*)"/.exec(told ?? "")?.[1] ?? "").split(" ");
  }

  /** Everything that the members have logged, for a failed test. */
  get story(): string {
    return this.members.map(({ id, lines }) => `${id}:\n${lines.slice(-60).join("\n")}`).join("\n");
  }

  async end(): Promise<void> {
    for (const member of this.members) await member.end("SIGKILL");
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
