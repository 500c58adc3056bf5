/** What is measured. */
export type Workload = "send" | "consume" | "latency";

/** What a load generator is told when it starts, as JSON in its only argument. */
export interface Task {
  readonly url: string;
  readonly workload: Workload;
  /** Bytes of a message's body. */
  readonly size: number;
  readonly producers: number;
  /** Sends, or acknowledgements, without an answer at any time, over all producers. */
  readonly inFlight: number;
  readonly durable: boolean;
  readonly seconds: number;
}

/** Bytes of non-durable messages that a broker may be given: it keeps them in memory, 1 GiB at most. */
const memoryBytesMax = 640 * 1024 * 1024;

/** How many messages may be sent that nobody takes; a measurement that reaches it ends early. */
export function messagesMax(task: Task): number {
  return task.durable ? Infinity : Math.floor(memoryBytesMax / (task.size + 256));
}

/** What a load generator found. */
export interface Measurement {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Messages that were measured. */
  readonly count: number;
}

/** The task in a generator's argument. @throws Error when it is none */
export function parseTask(text: string | undefined): Task {
  const value: unknown = JSON.parse(text ?? "null");
  if (typeof value === "object" && value !== null) {
    const { url, workload, size, producers, inFlight, durable, seconds } = fieldsOf(value);
    if (
      typeof url === "string" &&
      (workload === "send" || workload === "consume" || workload === "latency") &&
      typeof size === "number" &&
      typeof producers === "number" &&
      typeof inFlight === "number" &&
      typeof durable === "boolean" &&
      typeof seconds === "number"
    ) {
      return { url, workload, size, producers, inFlight, durable, seconds };
    }
  }
  throw new Error(`expected a task, found ${text ?? "nothing"}`);
}

/** The measurement that came from a generator. @throws Error when it is none */
export function parseMeasurement(value: unknown): Measurement {
  if (typeof value === "object" && value !== null) {
    const { perSecond, p50, p99, count } = fieldsOf(value);
    if (
      typeof perSecond === "number" &&
      typeof p50 === "number" &&
      typeof p99 === "number" &&
      typeof count === "number"
    ) {
      return { perSecond, p50, p99, count };
    }
  }
  throw new Error(`expected a measurement, found ${JSON.stringify(value)}`);
}

function fieldsOf(value: object): Readonly<Partial<Record<string, unknown>>> {
  return Object.fromEntries(Object.entries(value));
}
