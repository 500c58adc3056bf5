import { EverholdError } from "@everhold/base";
import {
  connect,
  type Connection,
  type Consumer,
  type Message,
  type Session,
} from "@everhold/client";
import type { Machine } from "../world/machine.ts";
import type { Returns } from "../scenario/returns.ts";
import type { World } from "../world/world.ts";
import { filterOf } from "./filters.ts";
import type { Copy, Holder, SentMessage } from "./model.ts";
import type { Operation } from "./operation.ts";

/** What was sent and acknowledged since a client's last commit. */
export interface OpenTransaction {
  readonly end: Operation;
  /** What finds the queues of what is sent, where that is not the end. */
  readonly preparing?: Operation;
  readonly sends: Copy[];
  readonly acks: { readonly copy: Copy; readonly operation: Operation }[];
  /** Whether the connection broke since it began, so that it is lost, or part of it. */
  isBroken: boolean;
}

/** A message in the hands of an application. */
export interface HeldMessage {
  readonly copyKey: string;
  readonly message: Message;
  /** How it is being settled. */
  settling: Operation | undefined;
}

/** A consumer of the application, which takes all that it is given at once and settles when told to. */
export class RuleConsumer implements Holder {
  readonly name: string;
  readonly queue: string;
  readonly prefetch: number;
  readonly isTransacted: boolean;
  readonly consumer: Consumer;
  readonly client: RuleClient;
  readonly #filter: number;
  held: HeldMessage[] = [];
  isReady = false;

  constructor(
    client: RuleClient,
    consumer: Consumer,
    given: { name: string; prefetch: number; filter: number; isTransacted: boolean },
  ) {
    this.client = client;
    this.consumer = consumer;
    this.queue = consumer.queue;
    this.name = given.name;
    this.prefetch = given.prefetch;
    this.isTransacted = given.isTransacted;
    this.#filter = given.filter;
  }

  takes(message: SentMessage): boolean {
    return filterOf(this.#filter)?.matches(message) ?? true;
  }
}

/** Who is told what happens to a client. */
export interface ClientListener {
  onArrival(consumer: RuleConsumer, message: Message): void;
  /** Its connection broke, or its machine died. */
  onBroken(client: RuleClient): void;
}

/** A machine with one client on it, which does what it is told. */
export class RuleClient {
  readonly name: string;
  readonly #world: World;
  readonly #machine: Machine;
  readonly #url: string;
  readonly #minLargeBytes: number;
  readonly #returns: Returns;
  readonly #listener: ClientListener;
  readonly #open = new Set<Operation>();
  #connection: Connection | undefined;
  #session: Session | undefined;
  consumers: RuleConsumer[] = [];
  transaction: OpenTransaction | undefined;
  /** Whether a commit or a rollback is under way. */
  isEnding = false;
  /** What a commit that is under way commits. */
  committing: OpenTransaction | undefined;
  /** How often its connection broke. */
  breakCount = 0;

  constructor(
    world: World,
    machine: Machine,
    target: { readonly url: string; readonly minLargeBytes: number; readonly returns: Returns },
    listener: ClientListener,
  ) {
    const { url, minLargeBytes, returns } = target;
    this.#returns = returns;
    this.#minLargeBytes = minLargeBytes;
    this.name = machine.name;
    this.#world = world;
    this.#machine = machine;
    this.#url = url;
    this.#listener = listener;
  }

  /** Its connection, while its process runs and has one. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** Its transacted session. */
  get session(): Session | undefined {
    return this.#session;
  }

  /** Whether it runs and is connected. */
  get isConnected(): boolean {
    return this.#session !== undefined && this.#connection?.state === "connected";
  }

  /** Operations that have not ended. */
  get open(): readonly Operation[] {
    return [...this.#open];
  }

  /** Which run of its process this is. */
  get life(): string {
    return `${this.name}.${this.#machine.bootCount}`;
  }

  start(): void {
    const { bootCount } = this.#machine;
    const ports = this.#machine.start();
    const opened = connect(ports, this.#url, {
      reconnect: { initialAttempts: Infinity },
      minLargeMessageSize: this.#minLargeBytes,
    });
    const isPresent = (): boolean =>
      this.#machine.running && this.#machine.bootCount === bootCount + 1;
    const open = async (): Promise<void> => {
      const connection = await opened;
      if (!isPresent()) return;
      this.#connection = connection;
      this.#returns.follow(connection);
      connection.on("disconnect", () => {
        if (!isPresent()) return;
        this.breakCount += 1;
        this.#listener.onBroken(this);
      });
      const session = await connection.session({ transacted: true });
      if (isPresent()) this.#session = session;
    };
    open().catch((error: unknown) => this.#world.fail(this.name, error));
  }

  /** Its process ends without a word and starts again a little later. */
  crash(delayMs: number): boolean {
    if (!this.#machine.running || this.#connection === undefined) return false;
    this.#machine.crash({ power: false });
    this.breakCount += 1;
    this.#listener.onBroken(this);
    const { transaction } = this;
    for (const operation of this.#open) operation.end("unknown");
    this.#open.clear();
    if (transaction !== undefined && !transaction.end.isBegun) transaction.end.end("none");
    for (const consumer of this.consumers) consumer.isReady = false;
    this.consumers = [];
    this.transaction = undefined;
    this.isEnding = false;
    this.committing = undefined;
    this.#connection = undefined;
    this.#session = undefined;
    this.#world.after(delayMs, this.name, "boots", () => this.start());
    return true;
  }

  /** Notes an operation until it ends. */
  track(
    operation: Operation,
    promise: Promise<unknown>,
    onEnd: () => void = () => undefined,
  ): Operation {
    this.#open.add(operation);
    operation.follow(
      promise,
      () => {
        if (!this.#open.delete(operation)) return;
        const reason = operation.code === undefined ? "" : ` ${operation.code}`;
        this.#world.note(this.name, "ended", `${operation.what}: ${operation.fate}${reason}`);
        onEnd();
      },
      (error) => this.#world.fail(this.name, error),
    );
    return operation;
  }

  /** Takes whatever a new consumer is given. */
  consume(consumer: RuleConsumer): void {
    this.consumers.push(consumer);
    const take = async (): Promise<void> => {
      try {
        await consumer.consumer.ready();
        consumer.isReady = this.consumers.includes(consumer);
        for await (const message of consumer.consumer) this.#listener.onArrival(consumer, message);
      } catch (error) {
        if (!EverholdError.is(error, "EVH_CLOSED")) this.#world.fail(consumer.name, error);
      }
    };
    take().catch((error: unknown) => this.#world.fail(consumer.name, error));
  }

  /** The application gives up a consumer. */
  close(consumer: RuleConsumer): Promise<void> {
    consumer.isReady = false;
    this.consumers = this.consumers.filter((one) => one !== consumer);
    return consumer.consumer.close();
  }
}
