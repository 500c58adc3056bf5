import { ClosedError, EverholdError } from "@everhold/base";
import { checkTimeout, deadlineIn, waitFor, type WaitOptions } from "@everhold/env";
import type { ConnectionCore, ConnectionState } from "../connection/connection-core.ts";
import type { FailoverTimeline } from "../connection/timeline.ts";
import type { TopologyMember } from "../connection/topology-member.ts";
import {
  createQueueAndAddress,
  deleteQueue,
  queryAddress,
  queryQueue,
  type AddressDescription,
} from "../core/administration.ts";
import type { ConnectionEvent, ConnectionEventOf, ConnectionEvents } from "../events.ts";
import { limits } from "../limits.ts";
import type { Body } from "../message/body.ts";
import type { StreamBody } from "../message/stream-body.ts";
import type { Message } from "../receive/message.ts";
import { flavours } from "../session/core-session.ts";
import { AnyProducer, type SendToOptions } from "./any-producer.ts";
import { checkName, checkNewQueue } from "./check-options.ts";
import { browseQueue, type BrowseOptions } from "./browse.ts";
import { IntakeConsumer, type Consumer, type ConsumerOptions } from "./consumer.ts";
import {
  ownSessionSource,
  queueTarget,
  subscriptionQueueName,
  topicTarget,
  type SubscribeOptions,
} from "./consumer-sources.ts";
import { SessionProducer, type Producer, type ProducerOptions } from "./producer.ts";
import { readDeadLetterAddress } from "./dead-letter-address.ts";
import { Management } from "./management.ts";
import { askOutcome, type OperationOutcome } from "./outcome.ts";
import { queueInfo, type NewQueue, type QueueInfo } from "./queue-info.ts";
import { Requests, type RequestOptions } from "./requests.ts";
import { TwoPhase } from "./two-phase.ts";
import { ClientSession, type Session, type SessionOptions, type Transaction } from "./session.ts";

/**
 * A connection to a broker, over reconnects. Made by `connect`. Nothing of it is left running after
 * `close()` or `drain()`.
 */
export class Connection implements AsyncDisposable {
  readonly #core: ConnectionCore;
  readonly #consumers = new Set<Consumer>();
  readonly #sessions = new Set<ClientSession>();
  readonly #idleTransactions: ClientSession[] = [];
  readonly #anyProducer = new AnyProducer((address, options) => this.producer(address, options));
  readonly #requests: Requests;
  #closing: Promise<void> | undefined;
  /** What the broker can be asked and told about itself. */
  readonly management: Management;
  /** Branches of distributed transactions: this broker's part of work that others take part in as well. */
  readonly twoPhase: TwoPhase;

  /** Use `connect`. */
  constructor(core: ConnectionCore) {
    this.#core = core;
    this.#requests = new Requests(core);
    this.management = new Management(this.#requests);
    core.deadLetterAddressOf = (address) => readDeadLetterAddress(this.management, address);
    this.twoPhase = new TwoPhase(core);
    core.events.listen((event) => {
      if (event.type === "close") this.#requests.end(core.endError);
    });
  }

  /** Where it stands. */
  get state(): ConnectionState {
    return this.#core.state;
  }

  /** What the broker can beyond CORE, each `name/version`; empty when it is not an Everhold broker. */
  get features(): ReadonlySet<string> {
    return this.#core.features ?? new Set<string>();
  }

  /** The brokers that the broker told of, with their URLs where it said them. */
  get topology(): readonly TopologyMember[] {
    return this.#core.members;
  }

  /** The failover that is under way, else the last one; `undefined`: the connection has never broken. */
  get timeline(): FailoverTimeline | undefined {
    return this.#core.timeline;
  }

  /** A producer for an address. Cheap; the address is looked up, and created if need be, at the first send. */
  producer(address: string, options: ProducerOptions = {}): Producer {
    if (!this.#core.takesSends) throw this.#closedError("open a producer");
    return new SessionProducer(this.#core, this.#core.base, address, options);
  }

  /** Sends to whatever address it names, as a producer for that address would. */
  async send(address: string, body: Body | StreamBody, options?: SendToOptions): Promise<void> {
    await this.#anyProducer.send(address, body, options);
  }

  /**
   * A consumer of a queue, in a session of its own. It opens in the background; what keeps it from
   * opening is thrown by whatever is called on it first, and by `ready()`.
   */
  consumer<T = unknown>(queue: string, options: ConsumerOptions = {}): Consumer<T> {
    return this.#consume<T>(queueTarget(queue, options), options);
  }

  /** A consumer of a topic: of all that is sent to it from now on, or of a named subscription. */
  subscribe<T = unknown>(topic: string, options: SubscribeOptions = {}): Consumer<T> {
    return this.#consume<T>(topicTarget(this.#core, topic, options), options);
  }

  /** Ends a durable subscription, with all that it keeps. @throws RejectedError EVH_QUEUE_DOES_NOT_EXIST */
  async unsubscribe(name: string, wait: WaitOptions = {}): Promise<void> {
    checkName("unsubscribe", name);
    await this.deleteQueue(subscriptionQueueName(this.#core.options.clientId, name, true), wait);
  }

  /** The messages that wait in a queue, without taking any; ends at the end of the queue. */
  browse<T = unknown>(
    queue: string,
    options: BrowseOptions = {},
  ): AsyncIterableIterator<Message<T>> {
    return browseQueue<T>(this.#core, queue, options);
  }

  /**
   * Sends a request and gives the reply to it, which arrives on a temporary queue that all requests of
   * the connection share. When the broker has not kept that queue over a break it is made anew: replies that are sent
   * from then on still come. One that lay in it is lost; the log says so, and the error when the time is over.
   *
   * @throws TimeoutError EVH_TIMEOUT, with outcome `unknown`
   */
  request<T = unknown>(
    address: string,
    body: Body,
    options: RequestOptions = {},
  ): Promise<Message<T>> {
    return this.#requests.request<T>(address, body, options);
  }

  /** A session of its own. */
  async session(options: SessionOptions & WaitOptions = {}): Promise<Session> {
    const session = await this.#openSession(options.transacted ?? false, options);
    this.#sessions.add(session);
    return session;
  }

  /**
   * Runs `work` in a transaction: commits when it returns, rolls back when it throws.
   *
   * @throws EverholdError EVH_TRANSACTION_ROLLED_BACK: run it again; EVH_TRANSACTION_OUTCOME_UNKNOWN:
   * the connection broke during the commit, so give what it sends a `duplicateId` before running it again
   */
  async transaction<R>(
    work: (transaction: Transaction) => Promise<R>,
    wait: WaitOptions = {},
  ): Promise<R> {
    let session = this.#idleTransactions.pop();
    while (session !== undefined && !session.isUsable) session = this.#idleTransactions.pop();
    session ??= await this.#openSession(true, wait);
    try {
      return await runTransaction(session, work);
    } finally {
      await session.closeConsumers();
      const isKept = this.#idleTransactions.length < limits.idleTransactionCountMax;
      if (isKept && session.isUsable) this.#idleTransactions.push(session);
      else await session.close();
    }
  }

  /** What the broker says of a queue; `undefined` when there is none of this name. */
  async queueInfo(name: string, wait: WaitOptions = {}): Promise<QueueInfo | undefined> {
    checkName("ask about the queue", name);
    const description = await this.#core.query(wait, `ask about the queue ${name}`, (channel) =>
      queryQueue(channel, name),
    );
    return queueInfo(description);
  }

  /** What the broker says of an address. */
  async addressInfo(address: string, wait: WaitOptions = {}): Promise<AddressDescription> {
    checkName("ask about the address", address);
    return this.#core.query(wait, `ask about the address ${address}`, (channel) =>
      queryAddress(channel, address),
    );
  }

  /**
   * The names of all queues but the one for replies to this connection.
   * @throws RejectedError EVH_SECURITY for a user who may not manage the broker
   */
  async queueNames(wait: WaitOptions = {}): Promise<readonly string[]> {
    const names = await this.management.queueNames(wait);
    return names.filter((name) => name !== this.#requests.queue);
  }

  /** Creates a queue, with its address; one of this name that exists is left as it is. */
  async createQueue(name: string, queue: NewQueue = {}, wait: WaitOptions = {}): Promise<void> {
    checkName("create the queue", name);
    checkNewQueue(queue);
    if (queue.address !== undefined) checkName("create the queue at", queue.address);
    await this.#core.query(wait, `create the queue ${name}`, (channel) =>
      createQueueAndAddress(channel, {
        address: queue.address ?? name,
        name,
        routing: queue.routing ?? "anycast",
        filter: queue.filter ?? null,
        durable: queue.durable ?? true,
        temporary: false,
        autoCreated: false,
        maxConsumers: queue.maxConsumers ?? -1,
        kind: queue,
      }),
    );
  }

  /** Deletes a queue with all its messages. @throws RejectedError EVH_QUEUE_DOES_NOT_EXIST */
  async deleteQueue(name: string, wait: WaitOptions = {}): Promise<void> {
    checkName("delete the queue", name);
    let isRepeated = false;
    await this.#core.query(wait, `delete the queue ${name}`, async (channel) => {
      try {
        await deleteQueue(channel, name);
      } catch (error) {
        // It is gone: the first attempt, whose answer was lost, may have done it.
        if (!isRepeated || !EverholdError.is(error, "EVH_QUEUE_DOES_NOT_EXIST")) throw error;
      } finally {
        isRepeated = true;
      }
    });
  }

  /** Everything that happens to the connection from now on; ends when it is closed. */
  status(): AsyncIterableIterator<ConnectionEvent> {
    return this.#core.events.read();
  }

  /** Calls `listener` at each event of one type, until the returned function is called. */
  on<K extends keyof ConnectionEvents>(
    type: K,
    listener: (event: ConnectionEventOf<K>) => void,
  ): () => void {
    return this.#core.events.on(type, listener);
  }

  /**
   * Gives the connection up for another one, as after a change of the network; while it is away, makes the next
   * attempt at once. Settles when one stands. Default: without a limit.
   *
   * @throws EverholdError EVH_CLOSED, EVH_TIMEOUT, EVH_ABORTED, or why there is none any more
   */
  reconnect(wait: WaitOptions = {}): Promise<void> {
    return this.#core.reconnect(wait);
  }

  /**
   * Shuts down in order: consumers take nothing more, what is in hand is settled, what was sent is
   * confirmed, then it closes. Default: without a limit; when the limit passes it is still open.
   */
  async drain(wait: WaitOptions = {}): Promise<void> {
    const core = this.#core;
    const deadlineMs = deadlineIn(core.ports, checkTimeout(wait.timeout, Infinity));
    const subject = { attempt: "drain the connection", outcome: () => "unknown" as const };
    core.beginDrain();
    const work = async (): Promise<void> => {
      await Promise.all([...this.#consumers].map((consumer) => drainConsumer(consumer)));
      core.endSends();
      await core.base.outbox.idle();
      await Promise.allSettled(core.streamSends);
    };
    await core.waitFor({ deadlineMs, signal: wait.signal }, subject, work());
    await this.close();
  }

  /** Closes at once: what is in hand goes back, sends that have no answer yet are rejected. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#closeOnce();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * What became of a durable send or of a commit that was rejected with the outcome `unknown`: an Everhold broker
   * keeps it. It need not be the connection on which it happened. Repeated after a break; default: as long as a
   * call may take.
   *
   * @throws EverholdError why the broker could not be asked
   */
  outcome(error: unknown, wait: WaitOptions = {}): Promise<OperationOutcome> {
    return askOutcome(this.#core, error, wait);
  }

  async #closeOnce(): Promise<void> {
    const core = this.#core;
    // Temporary queues end with the socket, which here is others' as well: they are deleted one by one.
    if (core.isShared && core.isConnected) {
      const deadlineMs = deadlineIn(core.ports, core.options.callTimeoutMs);
      const subject = { attempt: "close the connection", outcome: () => "none" as const };
      const wait = { deadlineMs, signal: undefined };
      await waitFor(core.ports, wait, subject, this.#closeUsers()).catch(core.reportError);
    }
    await core.close();
  }

  async #closeUsers(): Promise<void> {
    const users = [...this.#consumers, ...this.#sessions];
    await Promise.allSettled(users.map((user) => user.close()));
    await this.#requests.close();
  }

  #consume<T>(target: ReturnType<typeof queueTarget>, options: ConsumerOptions): Consumer<T> {
    if (this.#core.state === "draining") throw this.#closedError("open a consumer");
    const source = ownSessionSource(this.#core, target, options);
    const consumer = new IntakeConsumer<T>(this.#core, source, options, (closed) => {
      this.#consumers.delete(closed);
    });
    this.#consumers.add(consumer);
    return consumer;
  }

  async #openSession(transacted: boolean, wait: WaitOptions): Promise<ClientSession> {
    const flavour = transacted ? flavours.transacted : flavours.plain;
    const session = await this.#core.openSession(flavour, wait, "open a session");
    return new ClientSession(this.#core, session, (closed) => this.#sessions.delete(closed));
  }

  #closedError(attempt: string): EverholdError {
    return new ClosedError("EVH_CLOSED", `Cannot ${attempt}: the connection is closing`);
  }
}

async function runTransaction<R>(
  session: ClientSession,
  work: (transaction: Transaction) => Promise<R>,
): Promise<R> {
  let result: R;
  try {
    result = await work(session);
  } catch (error) {
    // A session that is closed has rolled back already; what the work threw says more.
    if (session.isUsable) await session.rollback();
    throw error;
  }
  try {
    await session.commit();
  } catch (error) {
    // One that has not left leaves its work, which the next transaction must not find.
    if (session.isUsable && session.hasWork) await session.rollback();
    throw error;
  }
  return result;
}

/** One that never opened has nothing in hand. */
async function drainConsumer(consumer: Consumer): Promise<void> {
  try {
    await consumer.ready();
  } catch {
    return;
  }
  await consumer.drain();
}
