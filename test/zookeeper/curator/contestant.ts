import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { curatorProgram } from "../support/curator-programs.ts";
import { LeashedProcess } from "../support/leashed-process.ts";
import { until } from "../support/until.ts";

/** The clients that are put beside each other. */
export const kinds = ["curator", "everhold"] as const;
export type Kind = (typeof kinds)[number];

/** What a contestant says. `at` is the time of the machine, in ms. */
export type ContestantEvent = { readonly at: number } & (
  | { readonly type: "ready"; readonly sessionId: string }
  | { readonly type: "state"; readonly state: string }
  /** Its answer to who asks whether it leads has become another one. */
  | { readonly type: "leads"; readonly leads: boolean }
  /** Its first answer after it had stood still. */
  | { readonly type: "woke"; readonly leads: boolean }
  | { readonly type: "watch"; readonly name: string; readonly event: string }
  | { readonly type: "call"; readonly call: string; readonly answer: string }
);

/** What a contestant is started with. */
export interface ContestantOptions {
  readonly kind: Kind;
  /** `main` is what faults are done to, `rival` leads when it can, `stranger` does nothing unasked. */
  readonly role: "main" | "rival" | "stranger";
  readonly connectString: string;
  readonly sessionTimeoutMs: number;
  /** The path below which its nodes are. */
  readonly base: string;
  readonly mayReadOnly: boolean;
  /** A folder that goes with all contestants. */
  readonly folder: string;
}

/** One of the two clients in a process of its own, which tells what it is told. */
export class Contestant {
  readonly kind: Kind;
  readonly base: string;
  readonly events: ContestantEvent[] = [];
  readonly #process: LeashedProcess;
  #rest = "";

  private constructor(options: ContestantOptions, command: readonly string[], folder: string) {
    this.kind = options.kind;
    this.base = options.base;
    this.#process = new LeashedProcess(command, folder, { onOutput: (text) => this.#read(text) });
  }

  /** Starts it; {@link ready} says when it has what it wants. */
  static async start(options: ContestantOptions): Promise<Contestant> {
    const { kind, role, connectString, sessionTimeoutMs, base, mayReadOnly, folder } = options;
    const own = join(folder, `${kind}-${role}-${startedCount++}`);
    mkdirSync(own);
    const program =
      kind === "curator"
        ? await curatorProgram("CuratorContestant")
        : [process.execPath, fileURLToPath(new URL("./everhold.contestant.js", import.meta.url))];
    const args = [connectString, String(sessionTimeoutMs), base, role];
    return new Contestant(options, [...program, ...args, mayReadOnly ? "read-only" : "-"], own);
  }

  /** Returns the id of its session when everything is set up. */
  async ready(): Promise<bigint> {
    const event = await this.told("ready");
    return BigInt(`0x${event.sessionId}`);
  }

  /** The first event of a type from `sinceMs` on; waits for it. */
  told<K extends ContestantEvent["type"]>(
    type: K,
    sinceMs = 0,
  ): Promise<Extract<ContestantEvent, { type: K }>> {
    const isOf = (event: ContestantEvent): event is Extract<ContestantEvent, { type: K }> =>
      event.type === type && event.at >= sinceMs;
    return until(
      `${this.kind} told "${type}"`,
      () => {
        this.refuseDead();
        return this.events.find(isOf);
      },
      () => this.#process.output.slice(-2000),
    );
  }

  /** Its answer to a call; that it has none within `timeoutMs` is one, too. */
  async answer(call: "read" | "write" | "create", timeoutMs: number): Promise<string> {
    const sinceMs = Date.now();
    this.#process.tell(call);
    const isAnswer = (event: ContestantEvent): boolean =>
      event.type === "call" && event.call === call && event.at >= sinceMs;
    while (Date.now() < sinceMs + timeoutMs && !this.events.some(isAnswer)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const found = this.events.find(isAnswer);
    return found?.type === "call" ? found.answer : "no answer";
  }

  /** @throws Error when its process has ended */
  refuseDead(): void {
    if (!this.#process.isAlive) throw new Error(`${this.kind} ended: ${this.#process.output}`);
  }

  standStill(): void {
    this.#process.signal("SIGSTOP");
  }

  goOn(): void {
    this.#process.signal("SIGCONT");
  }

  async kill(): Promise<void> {
    this.#process.signal("SIGKILL");
    await this.#process.ended(10_000);
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("{")) this.events.push(eventOf(line));
    }
  }
}

let startedCount = 0;

function eventOf(line: string): ContestantEvent {
  const value: unknown = JSON.parse(line);
  if (isEvent(value)) return value;
  throw new Error(`expected an event of a contestant, found ${line}`);
}

function isEvent(value: unknown): value is ContestantEvent {
  return (
    typeof value === "object" &&
    value !== null &&
    "at" in value &&
    typeof value.at === "number" &&
    "type" in value &&
    typeof value.type === "string"
  );
}
