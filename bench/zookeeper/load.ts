import { Meter } from "../meter.ts";
import type { Measurement } from "../task.ts";

/** What is measured: each is one operation, but `create` two (a node is made and deleted) and `watch` three. */
export type ZooKeeperWorkload = (typeof workloads)[number];

const workloads = ["get", "set", "create", "watch"] as const;

/** What a load generator is told when it starts, as JSON in its only argument. `CuratorLoad.java` reads the same. */
export interface ZooKeeperTask {
  /** A connect string. */
  readonly servers: string;
  readonly workload: ZooKeeperWorkload;
  /** A node that is there, and nobody else uses. */
  readonly base: string;
  /** Bytes of a node's data. */
  readonly size: number;
  /** Operations without an answer at any time. */
  readonly inFlight: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

/** What of a client is loaded. */
export interface LoadClient {
  create(path: string, data: Uint8Array): Promise<unknown>;
  delete(path: string): Promise<unknown>;
  get(path: string): Promise<unknown>;
  /** Reads, and hears once of the next change. */
  watch(path: string, onChange: () => void): Promise<unknown>;
  set(path: string, data: Uint8Array): Promise<unknown>;
  close(): Promise<unknown>;
}

/** Connects, does what the task in the argument says with so many at a time, and sends what it measured. */
export async function runLoad(connect: (servers: string) => Promise<LoadClient>): Promise<void> {
  const task = parseTask(process.argv[2]);
  // Without the one that started it there is nobody to work for.
  process.once("disconnect", () => process.exit());
  const client = await connect(task.servers);
  process.send?.(await measure(client, task));
  await client.close();
  process.disconnect();
}

async function measure(client: LoadClient, task: ZooKeeperTask): Promise<Measurement> {
  const data = new Uint8Array(task.size).fill(120);
  const paths = Array.from({ length: task.inFlight }, (_, index) => `${task.base}/${index}`);
  await Promise.all(paths.map((path) => client.create(path, data)));
  const meter = new Meter(task.seconds, task.warmUpSeconds);
  const once = operationOf(client, task.workload, data);
  const inTurn = async (path: string): Promise<void> => {
    while (!meter.isOver()) meter.record(await once(path));
  };
  await Promise.all(paths.map(inTurn));
  const measured = meter.result();
  await Promise.all(paths.map((path) => client.delete(path)));
  return measured;
}

/** One operation, which gives the time at which what is measured began. */
function operationOf(
  client: LoadClient,
  workload: ZooKeeperWorkload,
  data: Uint8Array,
): (path: string) => Promise<number> {
  switch (workload) {
    case "get":
      return async (path) => {
        const startedMs = performance.now();
        await client.get(path);
        return startedMs;
      };
    case "set":
      return async (path) => {
        const startedMs = performance.now();
        await client.set(path, data);
        return startedMs;
      };
    case "create":
      return async (path) => {
        const startedMs = performance.now();
        await client.create(`${path}/made`, data);
        await client.delete(`${path}/made`);
        return startedMs;
      };
    case "watch":
      return async (path) => {
        let onChange = (): void => undefined;
        const changed = new Promise<void>((resolve) => {
          onChange = resolve;
        });
        await client.watch(path, onChange);
        const startedMs = performance.now();
        await Promise.all([client.set(path, data), changed]);
        return startedMs;
      };
  }
}

/** @throws Error when it is none */
function parseTask(text: string | undefined): ZooKeeperTask {
  const value: unknown = JSON.parse(text ?? "null");
  if (typeof value === "object" && value !== null) {
    const fields: Readonly<Partial<Record<string, unknown>>> = Object.fromEntries(
      Object.entries(value),
    );
    const { servers, base, size, inFlight, seconds, warmUpSeconds } = fields;
    const workload = workloads.find((name) => name === fields["workload"]);
    if (
      typeof servers === "string" &&
      workload !== undefined &&
      typeof base === "string" &&
      typeof size === "number" &&
      typeof inFlight === "number" &&
      typeof seconds === "number" &&
      typeof warmUpSeconds === "number"
    ) {
      return { servers, workload, base, size, inFlight, seconds, warmUpSeconds };
    }
  }
  throw new Error(`expected a task, found ${text ?? "nothing"}`);
}
