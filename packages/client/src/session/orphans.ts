import { AcknowledgeFrame, packets, writeAcknowledge } from "@everhold/wire";
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
  /** The last packet that was handled on it. */
  receivedLast: number;
  /** Whether it has come to the present connection, where it cannot go on. */
  isHere?: boolean;
  /** What is to come again marked, where the end of the life itself does not see to that. */
  seen?: readonly SeenMessage[];
}

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
  async retire(transport: Transport, creation: SessionCreation): Promise<void> {
    const lives = this.#lives;
    this.#lives = [];
    try {
      await Promise.all(lives.map((life) => retireLife(transport, creation, life)));
    } catch (error) {
      this.#lives = [...lives, ...this.#lives];
      throw error;
    }
  }
}

/**
 * Closes a session of a broken connection at the broker, which may keep it, with its deliveries, until it misses
 * that connection.
 *
 * @throws EverholdError when the connection broke
 */
export async function retireLife(
  transport: Transport,
  creation: SessionCreation,
  life: Life,
): Promise<void> {
  const settings = { confirmationWindowBytes: -1, resumesExactly: () => false, singleIds: [] };
  // What is sent again to it is nobody's.
  const channel = new Channel(transport, life.channelId, settings, deafListener);
  const { name, receivedLast, isHere = false, seen = [] } = life;
  try {
    if (!isHere && !(await creation.reattach(name, receivedLast, ignore))) return;
    const attempt = "retire the session of the broken connection";
    // What is acknowledged in a transaction that is rolled back counts as delivered; what only lay in a session
    // that ends in order does not.
    for (const message of seen) acknowledge(channel, message);
    await answersOfBefore(channel, name, attempt);
    await channel.call(packets.sessionClose, {}, attempt, readNull);
  } finally {
    channel.detach();
  }
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

/** Settles when all answers to what was asked on the broken connection have come: they are nobody's. */
function answersOfBefore(channel: Channel, name: string, attempt: string): Promise<void> {
  const queueName = `everhold.retired.${name}`;
  channel.send(packets.queueQuery, { queueName });
  return new Promise((resolve, reject) => {
    const waiter: AnswerWaiter = {
      attempt,
      onAnswer(id, reader, version) {
        if (readQueueDescription(id, reader, version)?.name === queueName) resolve();
        else channel.expect(waiter);
        return true;
      },
      onRefused(error) {
        if (channel.lostError === undefined) channel.expect(waiter);
        else reject(error);
      },
    };
    channel.expect(waiter);
  });
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
