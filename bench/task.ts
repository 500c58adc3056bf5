/** What a load generator does; `store` only fills the queue for `consume`. */
export type Workload = (typeof workloads)[number];

const workloads = ["send", "store", "consume", "latency"] as const;

/** What a load generator is told when it starts, as JSON in its only argument. */
export interface Task {
  readonly url: string;
  readonly workload: Workload;
  readonly queue: string;
  /** Messages that `store` leaves in the queue, and `consume` finds there. */
  readonly storedCount: number;
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
  /** µs of the generator's CPU time for each of them. */
  readonly cpu: number;
}

/** The task in a generator's argument. @throws Error when it is none */
export function parseTask(text: string | undefined): Task {
  const value: unknown = JSON.parse(text ?? "null");
  if (typeof value === "object" && value !== null) {
    const { url, queue, storedCount, size, producers, inFlight, durable, seconds } =
      fieldsOf(value);
    const workload = workloads.find((name) => name === fieldsOf(value)["workload"]);
    if (
      typeof url === "string" &&
      workload !== undefined &&
      typeof queue === "string" &&
      typeof storedCount === "number" &&
      typeof size === "number" &&
      typeof producers === "number" &&
      typeof inFlight === "number" &&
      typeof durable === "boolean" &&
      typeof seconds === "number"
    ) {
      return { url, workload, queue, storedCount, size, producers, inFlight, durable, seconds };
    }
  }
  throw new Error(`expected a task, found ${text ?? "nothing"}`);
}

/** The measurement that came from a generator. @throws Error when it is none */
export function parseMeasurement(value: unknown): Measurement {
  if (typeof value === "object" && value !== null) {
    const { perSecond, p50, p99, count, cpu } = fieldsOf(value);
    if (
      typeof perSecond === "number" &&
      typeof p50 === "number" &&
      typeof p99 === "number" &&
      typeof count === "number" &&
      typeof cpu === "number"
    ) {
      return { perSecond, p50, p99, count, cpu };
    }
  }
  throw new Error(`expected a measurement, found ${JSON.stringify(value)}`);
}

function fieldsOf(value: object): Readonly<Partial<Record<string, unknown>>> {
  return Object.fromEntries(Object.entries(value));
}
