import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { curatorProgram } from "./curator-programs.ts";
import { TemporaryFolder } from "./folders.ts";
import { LeashedProcess } from "./leashed-process.ts";
import { until } from "./until.ts";

/** What it says to a call. */
interface Answer {
  readonly number: number;
  readonly answer?: unknown;
  readonly error?: string;
}

/** A process in Java that uses Curator's recipes as it is told. */
export class CuratorRecipes {
  readonly #folder = new TemporaryFolder();
  readonly #process: LeashedProcess;
  readonly #answers: Answer[] = [];
  #rest = "";
  #callCount = 0;

  private constructor(command: readonly string[]) {
    const own = join(this.#folder.path, "curator");
    mkdirSync(own);
    this.#process = new LeashedProcess(command, own, { onOutput: (text) => this.#read(text) });
  }

  static async start(connectString: string): Promise<CuratorRecipes> {
    const program = await curatorProgram("CuratorRecipes");
    return new CuratorRecipes([...program, connectString, "10000"]);
  }

  /** Its answer to a call of words without spaces; see the Java program. @throws Error with what Curator threw */
  async call(...words: readonly (string | number)[]): Promise<unknown> {
    const number = ++this.#callCount;
    this.#process.tell([number, ...words].join(" "));
    const { answer, error } = await until(
      `Curator's answer to ${words.join(" ")}`,
      () => {
        if (!this.#process.isAlive) throw new Error(`it has ended: ${this.#process.output}`);
        return this.#answers.find((one) => one.number === number);
      },
      () => this.#process.output.slice(-2000),
    );
    if (error !== undefined) throw new Error(`${words.join(" ")}: ${error}`);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.signal("SIGKILL");
    await this.#process.ended(10_000);
    this.#folder[Symbol.dispose]();
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("{")) this.#answers.push(answerOf(line));
  }
}

function answerOf(line: string): Answer {
  const value: unknown = JSON.parse(line);
  if (isAnswer(value)) return value;
  throw new Error(`expected an answer, found ${line}`);
}

function isAnswer(value: unknown): value is Answer {
  if (typeof value !== "object" || value === null || !("number" in value)) return false;
  return typeof value.number === "number" && ("answer" in value || "error" in value);
}
