import { EverholdError } from "@everhold/base";

/** What is known of a call that has settled: it took effect, it did not, or nobody can tell. */
export type Outcome = "applied" | "none" | "unknown";

/** A message was sent. In a transaction the outcome is that of its commit. */
export interface ToldSend {
  readonly kind: "send";
  readonly text: string;
  readonly isDurable: boolean;
  readonly transaction: string | undefined;
  readonly outcome: Outcome;
}

/** A message came to the application. */
export interface ToldDelivery {
  readonly kind: "delivery";
  readonly text: string;
  readonly isRedelivered: boolean;
}

/** The last delivery of a message was acknowledged. In a transaction the outcome is that of its commit. */
export interface ToldSettlement {
  readonly kind: "settlement";
  readonly text: string;
  readonly transaction: string | undefined;
  readonly outcome: Outcome;
}

/** A transaction came to its end. */
export interface ToldEnd {
  readonly kind: "end";
  readonly transaction: string;
  readonly outcome: Outcome;
  readonly code: string;
}

/** The body of a message is not what was sent. */
export interface ToldDamage {
  readonly kind: "damage";
  readonly text: string;
}

/** Any other call settled. */
export interface ToldCall {
  readonly kind: "call";
  readonly name: string;
  readonly outcome: Outcome;
  readonly code: string;
}

/** One line of what an application was told. */
export type Told = ToldSend | ToldDelivery | ToldSettlement | ToldEnd | ToldDamage | ToldCall;

/** What an application was told, in the order in which it learnt it. */
export class Story {
  readonly lines: Told[] = [];

  /** Calls of each kind that failed, with their outcome and code: `commit unknown EVH_…`. */
  get troubles(): string[] {
    return this.lines.flatMap((line) => {
      if (line.kind === "delivery" || line.kind === "damage") return [];
      if (line.outcome === "applied") return [];
      if (line.kind === "call") return [`${line.name} ${line.outcome} ${line.code}`];
      if (line.kind === "end") return [`commit ${line.outcome} ${line.code}`];
      if (line.transaction !== undefined) return [];
      const isFleeting = line.kind === "send" && !line.isDurable;
      return [`${line.kind}${isFleeting ? " not durable" : ""} ${line.outcome}`];
    });
  }

  /** All lines, each in few words, for who must understand what went wrong. */
  get text(): string {
    return this.lines.map((line) => Object.values(line).join(" ")).join("; ");
  }

  /** Does something and notes what came of it. @returns what it gave; `undefined` where it failed */
  async call<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await work();
      this.lines.push({ kind: "call", name, outcome: "applied", code: "" });
      return result;
    } catch (error) {
      this.lines.push({ kind: "call", name, ...failureOf(error) });
      return undefined;
    }
  }

  async send(
    text: string,
    work: () => Promise<void>,
    { isDurable = true, transaction }: { isDurable?: boolean; transaction?: string } = {},
  ): Promise<void> {
    const outcome = await outcomeOf(work);
    this.lines.push({ kind: "send", text, isDurable, transaction, outcome });
  }

  delivery(text: string, isRedelivered: boolean): void {
    this.lines.push({ kind: "delivery", text, isRedelivered });
  }

  damage(text: string): void {
    this.lines.push({ kind: "damage", text });
  }

  async settle(text: string, work: () => Promise<void>, transaction?: string): Promise<void> {
    const outcome = await outcomeOf(work);
    this.lines.push({ kind: "settlement", text, transaction, outcome });
  }

  async end(transaction: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.lines.push({ kind: "end", transaction, outcome: "applied", code: "" });
    } catch (error) {
      this.lines.push({ kind: "end", transaction, ...failureOf(error) });
    }
  }
}

async function outcomeOf(work: () => Promise<void>): Promise<Outcome> {
  try {
    await work();
    return "applied";
  } catch (error) {
    return failureOf(error).outcome;
  }
}

/** @throws what is no error of ours: then the program is wrong, or the client */
function failureOf(error: unknown): { outcome: Outcome; code: string } {
  if (!EverholdError.is(error)) throw error;
  return { outcome: error.outcome, code: error.code };
}
