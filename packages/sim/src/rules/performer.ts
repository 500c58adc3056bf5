import { EverholdError, type Prng } from "@everhold/base";
import type { Session } from "@everhold/client";
import { bodyOf } from "../scenario/content.ts";
import { newCopy, type SentMessage } from "./model.ts";
import { filterOf } from "./filters.ts";
import { isLimited as letsMessagesGo } from "./kind-rules.ts";
import { Operation } from "./operation.ts";
import type {
  BrowseStep,
  CloseStep,
  EndStep,
  OpenStep,
  QueuePlan,
  RulesSetup,
  SendStep,
  SettleStep,
} from "./program.ts";
import {
  RuleConsumer,
  type HeldMessage,
  type OpenTransaction,
  type RuleClient,
} from "./rule-client.ts";
import type { Book } from "./book.ts";

/** What steps of applications are performed with. */
export interface Stage {
  readonly setup: RulesSetup;
  readonly clients: readonly RuleClient[];
  readonly book: Book;
  readonly prng: Prng;
  readonly wallMs: () => number;
  /** Whether sends may be refused for want of room on the disk. */
  readonly isDiskFull: () => boolean;
  readonly onProblem: (text: string) => void;
  readonly note: (what: string, detail: string) => void;
}

/** Consumers of one client; more than there are queues, so that in the end each can be emptied. */
const consumersMax = 12;

/** Performs the steps of applications, and notes in the book what may come of each. */
export class Performer {
  readonly #stage: Stage;
  #messageCount = 0;
  #consumerCount = 0;
  #transactionCount = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** What is known of every message. */
  get book(): Book {
    return this.#stage.book;
  }

  send(step: SendStep): void {
    const client = this.#client(step.client);
    if (client?.connection === undefined || (step.transacted && client.isEnding)) return;
    for (let count = 0; count < step.count; count += 1) {
      const transaction = step.transacted ? this.#transactionOf(client) : undefined;
      const source = step.transacted ? client.session : client.connection;
      if (source !== undefined) this.sendIn(client, source, step, transaction);
    }
  }

  open(step: OpenStep): void {
    const client = this.#client(step.client);
    const { book } = this.#stage;
    const queue = book.queueNames[step.queue % book.queueNames.length];
    const { connection, session } = client ?? {};
    if (client === undefined || connection === undefined || session === undefined) return;
    if (queue === undefined || client.consumers.length >= consumersMax) return;
    const filter = filterOf(step.filter);
    const options = {
      prefetch: step.prefetch,
      ...(filter === undefined ? {} : { filter: filter.text }),
    };
    this.#consumerCount += 1;
    const consumer = new RuleConsumer(
      client,
      step.transacted ? session.consumer(queue, options) : connection.consumer(queue, options),
      {
        name: `${client.name} consumer ${this.#consumerCount}`,
        prefetch: step.prefetch,
        filter: step.filter,
        isTransacted: step.transacted,
      },
    );
    this.#note("opens", `${consumer.name} of ${queue} ${filter?.text ?? ""}`);
    client.consume(consumer);
  }

  close(step: CloseStep): void {
    const all = this.#consumers();
    const consumer = all[step.consumer % all.length];
    if (consumer !== undefined) this.closeConsumer(consumer);
  }

  /** Closes a consumer: what it holds goes back, and counts as an attempt where the client can say so. */
  closeConsumer(consumer: RuleConsumer): void {
    const { book } = this.#stage;
    this.#note("closes", consumer.name);
    const attempt = settlesExactly(consumer.client) ? 1 : 0;
    const cause = {};
    for (const held of consumer.held) {
      book.returned([held], { low: isFree(held) ? attempt : 0, high: attempt, cause });
    }
    const closing = new Operation(`close ${consumer.name}`);
    book.giveBack([consumer], closing);
    consumer.client.track(closing, consumer.client.close(consumer));
  }

  settle(step: SettleStep): void {
    const all = this.#consumers().filter(({ held }) => held.some(this.#isKnown));
    const consumer = all[step.consumer % all.length];
    if (consumer === undefined) return;
    const free = consumer.held.filter(this.#isKnown);
    const first = step.pick % free.length;
    const picked = free.slice(first, first + step.count);
    switch (step.how) {
      case "ack":
        for (const one of picked) this.#acknowledge(consumer, one);
        return;
      case "release":
        this.#release(consumer, picked, step.delayMs);
        return;
      case "reject":
        for (const one of picked) this.#reject(consumer, one);
        return;
    }
  }

  /** Settles all that all consumers hold. */
  acknowledgeAll(): void {
    for (const consumer of this.#consumers()) {
      for (const one of consumer.held.filter(this.#isKnown)) this.#acknowledge(consumer, one);
    }
  }

  end(step: EndStep): void {
    const client = this.#client(step.client);
    if (client === undefined) return;
    if (step.do === "commit") this.#commit(client);
    else this.rollBack(client);
  }

  /** Rolls back what a client has begun: what it was given, acknowledged or not, comes again and counts as an attempt. */
  rollBack(client: RuleClient): void {
    const { session, transaction } = client;
    if (session === undefined || client.isEnding) return;
    const { book } = this.#stage;
    this.#note("rolls back", client.name);
    transaction?.end.end("none");
    client.transaction = undefined;
    client.isEnding = true;
    const cause = {};
    const low = transaction?.isBroken === true ? 0 : 1;
    for (const { copy, operation } of transaction?.acks ?? []) {
      book.returnCopy(copy, { low, high: 1, cause, operation });
    }
    const ending = new Operation(`roll back ${client.name}`);
    for (const consumer of client.consumers) {
      if (!consumer.isTransacted) continue;
      const unsettled = consumer.held.filter(isFree);
      book.returned(unsettled, { low: 1, high: 1, cause });
      book.giveBack([consumer], ending);
      consumer.held = [];
    }
    client.track(ending, session.rollback(), () => {
      client.isEnding = false;
      // What came before the session stood still goes back as well.
      this.#returnRest(client, cause, cause, 1);
    });
  }

  browse(step: BrowseStep): void {
    const connection = this.#client(step.client)?.connection;
    const { book } = this.#stage;
    const queue = book.queueNames[step.queue % book.queueNames.length];
    if (connection === undefined || queue === undefined) return;
    this.#note("browses", queue);
    const read = async (): Promise<void> => {
      const ids: string[] = [];
      for await (const message of connection.browse(queue))
        ids.push(String(message.properties["id"]));
      book.browsed(queue, ids);
    };
    const client = this.#client(step.client);
    client?.track(new Operation(`browse ${queue}`), read());
  }

  /** Sends one message, with others in a transaction or alone. */
  sendIn(
    client: RuleClient,
    source: Pick<Session, "producer">,
    step: SendStep,
    transaction: OpenTransaction | undefined,
  ): void {
    const addresses = [...new Set(this.#stage.setup.queues.map((queue) => queue.address))];
    const address = addresses[step.target % addresses.length] ?? "";
    const { book, wallMs, prng } = this.#stage;
    this.#messageCount += 1;
    const nowMs = wallMs();
    // What becomes of a message for later that is replaced before its time, no rule says.
    const isLimited = this.#stage.setup.queues.some(
      (queue) => queue.address === address && letsMessagesGo(queue),
    );
    const message: SentMessage = {
      id: `m${this.#messageCount}`,
      address,
      color: step.color,
      size: step.size,
      priority: step.priority,
      durable: step.durable,
      expiresMs: step.ttlMs === 0 ? 0 : nowMs + step.ttlMs,
      dueMs: step.delayMs === 0 || isLimited ? 0 : nowMs + step.delayMs,
      group: step.group,
      key: step.key,
      bodyChars: step.bodyChars + prng.integer(0, 9),
      duplicate: step.duplicate < 0 ? undefined : `${address} ${step.duplicate}`,
    };
    const sending = new Operation(`send ${message.id}`);
    const order = book.newOrder(
      transaction === undefined ? `${client.life} base` : transaction.end.what,
      transaction !== undefined,
    );
    const needed = transaction === undefined ? [sending] : [sending, transaction.end];
    const born = book.duplicates.contend(message, order, needed);
    const targets = this.#stage.setup.queues.filter((queue) => isTarget(queue, message));
    const copies = targets.map((queue) => newCopy(message, queue.name, order, born));
    for (const copy of copies) {
      copy.preparing = transaction?.preparing;
      book.add(copy);
    }
    transaction?.sends.push(...copies);
    this.#note("sends", `${client.name} ${JSON.stringify(message)} ${transaction?.end.what ?? ""}`);
    const promise = send(source, message, targets[0]?.routing ?? "anycast");
    client.track(sending, promise, () => {
      if (transaction === undefined) order.end = book.tick();
      this.#checkRefusal(sending, message, transaction);
    });
  }

  /** A send is refused for a reason that there is. */
  #checkRefusal(
    sending: Operation,
    message: SentMessage,
    transaction: OpenTransaction | undefined,
  ): void {
    const { setup, isDiskFull, onProblem } = this.#stage;
    if (sending.fate !== "none" || isDiskFull()) return;
    const { maxSizeBytes, policy } = setup.fullness;
    const mayBeFull = message.address === "first" && maxSizeBytes >= 0 && policy === "fail";
    const mayBlock = message.address === "first" && maxSizeBytes >= 0 && policy === "block";
    switch (sending.code) {
      case "EVH_ADDRESS_FULL":
        if (mayBeFull) return;
        break;
      case "EVH_DUPLICATE_ID":
        if (message.duplicate !== undefined) return;
        break;
      case "EVH_TRANSACTION_ROLLED_BACK":
        if (transaction !== undefined) return;
        break;
      case "EVH_CLOSED":
        // Its branch was given up while it waited for room.
        if (transaction?.preparing?.code === "EVH_TIMEOUT" && mayBlock) return;
        break;
      default:
    }
    onProblem(`refusal: ${message.id} was refused with ${String(sending.code)}, for no reason`);
  }

  #commit(client: RuleClient): void {
    const { session, transaction } = client;
    if (session === undefined || client.isEnding) return;
    const { book } = this.#stage;
    const end = transaction?.end ?? new Operation(`empty transaction of ${client.name}`);
    end.isBegun = true;
    client.transaction = undefined;
    client.isEnding = true;
    client.committing = transaction;
    this.#note("commits", `${client.name} ${end.what}`);
    const sends = transaction?.sends ?? [];
    const beginTick = book.tick();
    for (const { order } of sends) order.begin = beginTick;
    client.track(end, commitOrRollBack(session), () => {
      client.isEnding = false;
      client.committing = undefined;
      const endTick = book.tick();
      for (const { order } of sends) order.end = endTick;
      if (end.fate === "applied") return;
      // The broker gives back what was acknowledged, and the client has it give back the rest, with what
      // came while the commit waited for a send to have room. Without an answer it does nothing.
      const cause = {};
      for (const { copy } of transaction?.acks ?? []) {
        book.returnCopy(copy, { low: 0, high: 1, cause });
      }
      book.giveBack(
        client.consumers.filter(({ isTransacted }) => isTransacted),
        end,
      );
      this.#returnRest(client, cause, {}, end.fate === "none" ? 1 : 0);
    });
  }

  /** What a client's transacted session has or had goes back, but for what did so for `done`. */
  #returnRest(client: RuleClient, done: object, cause: object, attempts: number): void {
    const { book } = this.#stage;
    const consumers = client.consumers.filter(({ isTransacted }) => isTransacted);
    for (const copy of book.heldBy(consumers)) {
      if (copy.returns.some((one) => one.cause === done)) continue;
      book.returnCopy(copy, { low: attempts, high: attempts, cause });
    }
  }

  #acknowledge(consumer: RuleConsumer, held: HeldMessage): void {
    const { client } = consumer;
    if (consumer.isTransacted && client.isEnding) return;
    const copy = this.#stage.book.copyOf(held.copyKey);
    const operation = new Operation(`acknowledge ${held.copyKey} by ${consumer.name}`);
    held.settling = operation;
    this.#note("acknowledges", `${held.copyKey} by ${consumer.name}`);
    client.track(operation, held.message.ack());
    if (!consumer.isTransacted) {
      copy?.deaths.push([operation]);
      return;
    }
    const transaction = this.#transactionOf(client);
    copy?.deaths.push([operation, transaction.end]);
    if (copy !== undefined) transaction.acks.push({ copy, operation });
  }

  /** CORE gives back all that a consumer holds, and counts the attempt for the first of them only. */
  #release(consumer: RuleConsumer, picked: readonly HeldMessage[], givenMs: number): void {
    if (consumer.isTransacted) return;
    const { book } = this.#stage;
    const isExact = settlesExactly(consumer.client);
    const released = isExact ? picked : consumer.held.filter(isFree);
    const cause = {};
    for (const held of released) {
      const isFirst = held === consumer.held[0];
      const operation = new Operation(`release ${held.copyKey}`);
      this.#note("releases", `${held.copyKey} by ${consumer.name}`);
      held.settling = operation;
      const delayMs = isExact && givenMs >= 0 ? givenMs : undefined;
      const low = isExact || isFirst ? 1 : 0;
      book.returned([held], { low, high: 1, cause, operation, delayMs });
      const options = delayMs === undefined ? {} : { delay: delayMs };
      consumer.client.track(operation, held.message.release(options));
    }
  }

  #reject(consumer: RuleConsumer, held: HeldMessage): void {
    const { book } = this.#stage;
    if (consumer.isTransacted || book.isSink(consumer.queue)) return;
    const copy = book.copyOf(held.copyKey);
    const operation = new Operation(`reject ${held.copyKey}`);
    held.settling = operation;
    this.#note("rejects", `${held.copyKey} by ${consumer.name}`);
    consumer.client.track(operation, held.message.reject("of no use"));
    if (copy === undefined) return;
    if (!settlesExactly(consumer.client)) copy.rejections += 1;
    copy.deaths.push([operation]);
    copy.sinks.push({ queue: book.deadLetterQueue, operation });
  }

  /** Whether it can be settled: what has only just moved is not in the book yet. */
  readonly #isKnown = (held: HeldMessage): boolean =>
    isFree(held) && this.book.copyOf(held.copyKey) !== undefined;

  #transactionOf(client: RuleClient): OpenTransaction {
    if (client.transaction === undefined) {
      this.#transactionCount += 1;
      const end = new Operation(`transaction ${this.#transactionCount} of ${client.life}`, false);
      client.transaction = { end, sends: [], acks: [], isBroken: false };
    }
    return client.transaction;
  }

  #consumers(): RuleConsumer[] {
    return this.#stage.clients.flatMap(({ consumers }) => consumers);
  }

  #client(number: number): RuleClient | undefined {
    const { clients } = this.#stage;
    return clients[number % clients.length];
  }

  #note(what: string, detail: string): void {
    this.#stage.note(what, detail);
  }
}

function send(
  source: Pick<Session, "producer">,
  message: SentMessage,
  routing: "anycast" | "multicast",
): Promise<void> {
  const { id, color, size, bodyChars, duplicate, expiresMs, dueMs, group, key } = message;
  return source.producer(message.address, { routing }).send(bodyOf(id, bodyChars), {
    durable: message.durable,
    priority: message.priority,
    properties: {
      id,
      chars: bodyChars,
      ...(color === undefined ? {} : { color }),
      ...(size === undefined ? {} : { size }),
      ...(key === undefined ? {} : { key }),
    },
    ...(group === undefined ? {} : { groupId: group }),
    ...(expiresMs === 0 ? {} : { expiresAt: expiresMs }),
    ...(dueMs === 0 ? {} : { deliverAt: dueMs }),
    ...(duplicate === undefined ? {} : { duplicateId: duplicate }),
  });
}

/** Rolls back what it could not commit in time. */
async function commitOrRollBack(session: Session): Promise<void> {
  try {
    await session.commit();
  } catch (error) {
    // It has not left, because a send of it waits for room.
    if (EverholdError.is(error, "EVH_TIMEOUT")) await session.rollback();
    throw error;
  }
}

/** Whether the broker has a packet that settles one delivery. */
function settlesExactly({ connection }: RuleClient): boolean {
  return connection?.features.has("settle/1") === true;
}

function isFree({ settling }: HeldMessage): boolean {
  return settling === undefined;
}

function isTarget({ address, filter }: QueuePlan, message: SentMessage): boolean {
  return address === message.address && (filterOf(filter)?.matches(message) ?? true);
}
