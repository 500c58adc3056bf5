import { deferred, type EverholdError } from "@everhold/base";
import {
  AcknowledgeFrame,
  decodePacket,
  noCorrelation,
  packets,
  writeAcknowledge,
  type ByteReader,
} from "@everhold/wire";
import { Channel, readNull, type AnswerWaiter, type ChannelListener } from "../core/channel.ts";
import { readQueueDescription } from "../core/queue-description.ts";
import type { SessionCreation } from "../core/session-creation.ts";
import type { Transport } from "../core/transport.ts";

/** A message that an application has had. */
export interface SeenMessage {
  readonly consumerId: number;
  readonly messageId: number;
}

/** One life of a session at a broker. */
export interface Life {
  readonly name: string;
  readonly channelId: number;
  /** Whether its end rolls a transaction back; a branch outlives it. */
  readonly isTransacted: boolean;
  /** The last packet that was handled on it. */
  receivedLast: number;
  /** The connection to which it has come and on which it cannot go on. */
  cameTo?: Transport | undefined;
  /** What is to come again marked, where the end of the life itself does not see to that. */
  seen?: readonly SeenMessage[];
  /** The correlation id of a commit that was asked for and not answered. */
  commitId?: number | undefined;
}

/** The connection on which lives are ended. */
export interface RetiringConnection {
  readonly transport: Transport;
  readonly creation: SessionCreation;
}

const attempt = "retire the session of the broken connection";

/** Lives that may wait to be closed; the broker ends others when it misses their connection. */
const orphansMax = 1_000;

/** Sessions that their applications closed while the connection was broken: the next one closes them at the broker. */
export class Orphans {
  #lives: Life[] = [];

  /** The broker may keep this life. */
  add(life: Life): void {
    if (this.#lives.length < orphansMax) this.#lives.push(life);
  }

  /** Closes all of them that the broker has kept. @throws EverholdError when the connection broke */
  async retire(connection: RetiringConnection, resumesExactly: boolean): Promise<void> {
    const lives = this.#lives;
    this.#lives = [];
    try {
      await Promise.all(lives.map((life) => retireLife(connection, life, resumesExactly)));
    } catch (error) {
      this.#lives = [...lives, ...this.#lives];
      throw error;
    }
  }
}

/**
 * Closes a session of a broken connection at the broker, which may keep it, with its deliveries, until it misses
 * that connection. `resumesExactly`: see {@link ChannelSettings}. Gives whether the commit that it is asked about took
 * effect; `undefined` where nobody can tell.
 *
 * @throws EverholdError when the connection broke
 */
export async function retireLife(
  { transport, creation }: RetiringConnection,
  life: Life,
  resumesExactly: boolean,
): Promise<boolean | undefined> {
  const settings = {
    confirmationWindowBytes: -1,
    resumesExactly: () => false,
    // What is sent again to it is nobody's.
    dropsDeliveries: true,
  };
  const { name, channelId, receivedLast, cameTo, seen = [] } = life;
  const channel = new Channel(transport, channelId, settings, deafListener);
  try {
    const answers = resumesExactly ? undefined : new AnswersOfBefore(channel, life);
    if (cameTo !== transport && !(await creation.reattach(name, receivedLast, ignore)))
      return undefined;
    if (answers !== undefined) {
      // What is acknowledged in a transaction that is rolled back counts as delivered; what only lay in a session
      // that ends in order does not.
      for (const message of seen) acknowledge(channel, message);
      await answers.all();
    }
    await Promise.all([
      ...(answers !== undefined && life.isTransacted ? rollBack(channel) : []),
      channel.call(packets.sessionClose, {}, attempt, readNull),
    ]);
    return answers?.hasCommitted;
  } finally {
    channel.detach();
  }
}

/**
 * The answers to what was asked on the broken connection, which come before the one that is asked for here: a
 * broker that may have handled more than it says has handled what it answers, and nothing else.
 */
class AnswersOfBefore implements AnswerWaiter {
  readonly attempt = attempt;
  readonly correlationId: number;
  readonly #channel: Channel;
  readonly #queueName: string;
  readonly #done = deferred<void>();
  #hasCommitted = false;

  constructor(channel: Channel, { name, commitId = noCorrelation }: Life) {
    this.#channel = channel;
    this.#queueName = `everhold.retired.${name}`;
    this.correlationId = commitId;
    this.#done.promise.catch(ignore);
    channel.expect(this);
  }

  get hasCommitted(): boolean {
    return this.#hasCommitted;
  }

  /** Settles when all have come. @throws EverholdError when the connection broke */
  all(): Promise<void> {
    this.#channel.send(packets.queueQuery, { queueName: this.#queueName });
    return this.#done.promise;
  }

  onAnswer(id: number, reader: ByteReader, version: number): boolean {
    const isLast = readQueueDescription(id, reader, version)?.name === this.#queueName;
    if (isLast) this.#done.resolve();
    else this.#channel.expect(this);
    if (id !== packets.nullResponse.id || this.correlationId === noCorrelation) return true;
    const answer = decodePacket(packets.nullResponse, reader, version);
    if (answer.correlationId === this.correlationId) this.#hasCommitted = true;
    return true;
  }

  onRefused(error: EverholdError): void {
    if (this.#channel.lostError === undefined) this.#channel.expect(this);
    else this.#done.reject(error);
  }
}

/**
 * A broker that rolls back as part of the end may answer that before everything is back in its queues, as Artemis
 * does: then a new session would get first what was sent later. A rollback that was asked for is over before the
 * end begins. Stopped, it delivers nothing in between.
 */
function rollBack(channel: Channel): readonly Promise<unknown>[] {
  return [
    channel.call(packets.sessionStop, {}, attempt, readNull),
    channel.call(packets.rollback, { considerLastMessageAsDelivered: false }, attempt, readNull),
  ];
}

function acknowledge(channel: Channel, { consumerId, messageId }: SeenMessage): void {
  const frame = new AcknowledgeFrame();
  frame.channelId = channel.id;
  frame.consumerId = consumerId;
  frame.messageId = messageId;
  frame.individual = true;
  frame.requiresResponse = false;
  const writer = channel.begin();
  writeAcknowledge(writer, frame);
  channel.end(writer);
}

function ignore(): void {
  // It is only handed over to be closed.
}

const deafListener: ChannelListener = {
  onMessage: ignore,
  onPart: ignore,
  wholeBytesMax: () => 0,
  onStream: ignore,
  onStreamPart: ignore,
  onCredits: ignore,
  onSendSettled: ignore,
  onConsumerClosed: ignore,
  onHeartbeat: ignore,
  onBroken: () => false,
  onReturned: ignore,
  onLost: ignore,
};
