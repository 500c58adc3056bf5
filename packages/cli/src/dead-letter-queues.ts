import { EverholdError, type Connection } from "everhold";

import { limits } from "./limits.ts";

/** A queue where dead letters or expired messages lie. */
export interface DeadLetterQueue {
  readonly queue: string;
  readonly address: string;
  readonly kind: "dead letters" | "expired";
  readonly messageCount: number;
}

/** One message of such a queue, as far as brokers tell of it in a listing. */
export interface DeadLetter {
  /** What `--id` names. */
  readonly id: number;
  /** The queue it came from; `undefined` when that is not known. */
  readonly from: string | undefined;
  /** A word of our brokers: why it was moved. */
  readonly cause: string | undefined;
  /** The same for people. */
  readonly reason: string | undefined;
  /** Milliseconds since 1970 when it was sent; 0 when its sender did not say. */
  readonly timestamp: number;
  /** All that the broker said of it. */
  readonly all: Readonly<Record<string, unknown>>;
}

/** What a command asks a broker by management messages, Everhold's or Artemis'. */
export class DeadLetterQueues {
  readonly #connection: Connection;
  readonly #signal: AbortSignal;

  constructor(connection: Connection, signal: AbortSignal) {
    this.#connection = connection;
    this.#signal = signal;
  }

  /** All queues of addresses that some address names as its dead-letter or expiry address. */
  async list(): Promise<readonly DeadLetterQueue[]> {
    const kinds = await this.#kindsByAddress();
    const found: DeadLetterQueue[] = [];
    for (const name of await this.#connection.queueNames({ signal: this.#signal })) {
      const info = await this.#connection.queueInfo(name, { signal: this.#signal });
      const kind = info === undefined ? undefined : kinds.get(info.address);
      if (info === undefined || kind === undefined) continue;
      const { address, messageCount } = info;
      found.push({ queue: name, address, kind, messageCount });
    }
    return found;
  }

  /**
   * A queue by its name.
   * @throws EverholdError EVH_QUEUE_DOES_NOT_EXIST; EVH_REJECTED when it is for neither
   */
  async get(queue: string): Promise<DeadLetterQueue> {
    const info = await this.#connection.queueInfo(queue, { signal: this.#signal });
    if (info === undefined) {
      throw new EverholdError("EVH_QUEUE_DOES_NOT_EXIST", `there is no queue ${queue}`);
    }
    const kinds = await this.#kindsByAddress();
    const { address, messageCount } = info;
    const kind = kinds.get(address);
    if (kind !== undefined) return { queue, address, kind, messageCount };
    throw new EverholdError(
      "EVH_REJECTED",
      `the queue ${queue} is at the address ${address}, expected one for dead letters or expired messages: ${[...kinds.keys()].join(", ")}`,
    );
  }

  /** The first messages of a queue that a filter selects; brokers list at most 200. */
  async messages(queue: string, filter: string): Promise<readonly DeadLetter[]> {
    const listed = await this.#invoke(queue, "listMessagesAsJSON", [filter]);
    const rows = parsed(listed);
    if (!Array.isArray(rows)) throw unexpected("messages", listed);
    return rows.map((row) => deadLetterOf(objectOf(row)));
  }

  /** How many messages of a queue a filter selects. */
  async count(queue: string, filter: string): Promise<number> {
    return Number(await this.#invoke(queue, "countMessages", [filter]));
  }

  /** The same by the queues they came from; what came from none that is known is under `null`. */
  async countByOrigin(queue: string, filter: string): Promise<ReadonlyMap<string, number>> {
    const args = [filter, "_AMQ_ORIG_QUEUE"];
    const found = objectOf(parsed(await this.#invoke(queue, "countMessages", args)));
    return new Map(Object.entries(found).map(([name, count]) => [name, Number(count)]));
  }

  /** How many messages a queue holds now. */
  async messageCount(queue: string): Promise<number> {
    const { management } = this.#connection;
    const wait = { signal: this.#signal };
    return Number(await management.attribute(`queue.${queue}`, "MessageCount", wait));
  }

  /** Whether there is a queue of this name. */
  async exists(queue: string): Promise<boolean> {
    return (await this.#connection.queueInfo(queue, { signal: this.#signal })) !== undefined;
  }

  /** Gives messages back to where they came from; gives how many went. */
  async retry(queue: string, filter: string): Promise<number> {
    if (this.#connection.features.size > 0) {
      return Number(await this.#invoke(queue, "retryMessages", filter === "" ? [] : [filter]));
    }
    // Artemis counts those that stay as well, and knows no filter here.
    const before = await this.count(queue, filter);
    if (filter === "") await this.#invoke(queue, "retryMessages", []);
    else await this.#retryEach(queue, filter);
    return Math.max(0, before - (await this.count(queue, filter)));
  }

  /** One by one, as far as the broker lists them: what stays is listed again and again. */
  async #retryEach(queue: string, filter: string): Promise<void> {
    const tried = new Set<number>();
    for (;;) {
      const letters = await this.messages(queue, filter);
      const fresh = letters.filter(({ id }) => !tried.has(id));
      if (fresh.length === 0) return;
      for (const { id } of fresh) {
        tried.add(id);
        await this.retryOne(queue, id);
      }
    }
  }

  /** The same for one message; whether that could be done. */
  async retryOne(queue: string, id: number): Promise<boolean> {
    return (await this.#invoke(queue, "retryMessage", [id])) === true;
  }

  /** Removes messages; gives how many. */
  async remove(queue: string, filter: string): Promise<number> {
    return Number(await this.#invoke(queue, "removeMessages", [filter]));
  }

  /** The same for one message; whether it was there. */
  async removeOne(queue: string, id: number): Promise<boolean> {
    return (await this.#invoke(queue, "removeMessage", [id])) === true;
  }

  #invoke(queue: string, operation: string, args: readonly unknown[]): Promise<unknown> {
    const wait = { signal: this.#signal, timeout: limits.managementTimeoutMs };
    return this.#connection.management.invoke(`queue.${queue}`, operation, args, wait);
  }

  /** Asked of every address, for each may have settings of its own; what does not exist yet, of the rest. */
  async #kindsByAddress(): Promise<ReadonlyMap<string, DeadLetterQueue["kind"]>> {
    const { management } = this.#connection;
    const wait = { signal: this.#signal };
    const names = parsed(await management.attribute("broker", "AddressNames", wait));
    if (!Array.isArray(names)) throw unexpected("names", names);
    const kinds = new Map<string, DeadLetterQueue["kind"]>();
    const matches: unknown[] = ["#"];
    for (const match of matches.concat(names)) {
      const args = [String(match)];
      const settings = await management.invoke("broker", "getAddressSettingsAsJSON", args, wait);
      const { deadLetterAddress, DLA, expiryAddress } = objectOf(parsed(settings));
      const deadLetters = deadLetterAddress ?? DLA;
      if (isName(expiryAddress)) kinds.set(expiryAddress, "expired");
      if (isName(deadLetters)) kinds.set(deadLetters, "dead letters");
    }
    return kinds;
  }
}

function deadLetterOf(row: Readonly<Record<string, unknown>>): DeadLetter {
  return {
    id: Number(row["messageID"]),
    from: textOf(row["_AMQ_ORIG_QUEUE"]),
    cause: textOf(row["_EVH_CAUSE"]),
    reason: textOf(row["dlqDeliveryFailureCause"]),
    timestamp: Number(row["timestamp"] ?? 0),
    all: row,
  };
}

/** Artemis gives structures as texts. */
function parsed(found: unknown): unknown {
  if (typeof found !== "string") return found;
  try {
    return JSON.parse(found);
  } catch {
    throw unexpected("JSON", found);
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw unexpected("an object", value);
  }
  return { ...value };
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function unexpected(expected: string, found: unknown): EverholdError {
  return new EverholdError(
    "EVH_REJECTED",
    `the broker answered ${JSON.stringify(found)?.slice(0, 100)}, expected ${expected}`,
  );
}
