import type { KillTarget } from "#failover";
import { GroupProcesses, type MemberProcess } from "#group/group-processes.js";
import { until } from "#group/until.js";

import { connectQuietly } from "./failover-cases.ts";

/** Their names; the first founds the group. */
const memberIds = ["anna", "bert", "cleo"] as const;

/** A group of broker processes, whose live ends when somebody asks for it. */
export class JavaGroup implements KillTarget, AsyncDisposable {
  readonly keepsMarks = true;
  readonly connect = connectQuietly;
  readonly #group: GroupProcesses;
  readonly #ended: MemberProcess[] = [];
  #last: Promise<void> = Promise.resolve();

  private constructor(group: GroupProcesses) {
    this.#group = group;
  }

  /** Settles when all are in sync. One that dies is not waited for. */
  static async start(size: 2 | 3 = 3): Promise<JavaGroup> {
    const group = new JavaGroup(await GroupProcesses.make(memberIds.slice(0, size), size - 1));
    for (const member of group.#group.members) member.start();
    await group.#untilWhole();
    return group;
  }

  /** Of the live. */
  get port(): number {
    return this.#live.port;
  }

  get otherUrls(): readonly string[] {
    return this.#group.urls;
  }

  /** Of all members, as Java's clients and ours take it. */
  get url(): string {
    return `(${this.#group.urls.join(",")})`;
  }

  /** Everything that the members have logged, for a failed test. */
  get story(): string {
    return this.#group.story;
  }

  /** The live is killed; settles when another one serves. */
  failOver(): Promise<void> {
    return this.#end("SIGKILL");
  }

  /** Who was killed is in sync again. */
  async failBack(): Promise<void> {
    for (const member of this.#ended.splice(0)) member.start();
    await this.#untilWhole();
  }

  /** Does what a program asks for with lines such as `{"group":"kill"}`, one after the other. */
  readonly onLine = ({ group: asked }: Readonly<Record<string, unknown>>): void => {
    const end = asked === "kill" || asked === "stop" || asked === "kill two" ? asked : undefined;
    if (end === undefined) return;
    this.#last = this.#last.then(async () => {
      if (end === "kill two") await this.#endTwo();
      else await this.#end(end === "kill" ? "SIGKILL" : "SIGTERM");
      await this.failBack();
    });
    // Whoever waits for it in `done` learns of its failure.
    this.#last.catch(() => undefined);
  };

  /** Settles when all that was asked for is done. @throws Error where it could not be done */
  done(): Promise<void> {
    return this.#last;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#group.end();
  }

  /** The live and whoever would take over are killed: the third one leads. */
  async #endTwo(): Promise<void> {
    const { id } = this.#live;
    const next = this.#group.inSync.find((one) => one !== id);
    const third = this.#group.members.find((one) => one.id !== id && one.id !== next);
    if (third === undefined) throw new Error(`there are not three in sync\n${this.story}`);
    this.#ended.push(...this.#group.members.filter((one) => one !== third));
    const from = third.lines.length;
    await Promise.all(this.#ended.map((member) => member.end("SIGKILL")));
    await until(
      "the third one leads",
      () => third.lines.slice(from).some((line) => line.includes("This member leads")),
      () => this.story,
    );
  }

  async #end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const live = this.#live;
    this.#ended.push(live);
    await live.end(signal);
    await until(
      "another live",
      () => this.#group.live !== undefined,
      () => this.story,
    );
  }

  #untilWhole(): Promise<void> {
    const isWhole = (): boolean => this.#group.inSync.length === this.#group.members.length;
    return until("all of them in sync", isWhole, () => this.story);
  }

  get #live(): MemberProcess {
    const { live } = this.#group;
    if (live === undefined) throw new Error(`nobody serves\n${this.story}`);
    return live;
  }
}
