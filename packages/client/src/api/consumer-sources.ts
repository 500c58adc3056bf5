import { RejectedError } from "@everhold/base";
import { callWithin, deadlineIn } from "@everhold/env";
import {
  createQueue,
  createSharedQueue,
  deleteQueue,
  ensureAddress,
  ensureQueue,
  queryQueue,
  type QueueDefinition,
} from "../core/administration.ts";
import type { Channel } from "../core/channel.ts";
import type { ConnectionCore } from "../connection/connection-core.ts";
import { limits } from "../limits.ts";
import { encodeMessage } from "../message/encode-message.ts";
import type { Body } from "../message/body.ts";
import type { SendOptions } from "../message/send-options.ts";
import { randomUuid } from "../message/user-ids.ts";
import type { IntakeHost, IntakeSettings } from "../receive/intake-settings.ts";
import type { Intake } from "../receive/intake.ts";
import type { ReceivedMessage } from "../receive/received-message.ts";
import { flavours, type CoreSession } from "../session/core-session.ts";
import { deadLetterCopy, delayedCopy } from "../session/dead-letter.ts";
import { settleFeature } from "../receive/settle-packets.ts";
import { checkName } from "./check-options.ts";
import type { ConsumerOptions, IntakeSource } from "./consumer.ts";

/** How a topic is subscribed to. */
export interface SubscribeOptions extends Omit<ConsumerOptions, "deadLetterAddress"> {
  /** Names the subscription, so that it can be found again, and shared. */
  readonly name?: string;
  /** Whether it keeps messages while nobody consumes. Default: when it has a name. */
  readonly durable?: boolean;
  /** Whether several consumers may share it. Default false. */
  readonly shared?: boolean;
  readonly deadLetterAddress?: string;
}

/** Where rejected messages go when neither the application nor the broker says where. */
export const defaultDeadLetterAddress = "DLQ";

/** What a consumer reads from, before it has a session. */
interface Target {
  readonly queue: string;
  readonly filter: string | null;
  /** Makes sure that the queue exists; `isFirst` on the consumer's first life. */
  readonly prepare: (channel: Channel, isFirst: boolean) => Promise<void>;
  /** Whether the queue is the consumer's own and goes with it. */
  readonly isOwn: boolean;
}

/** The target of `consumer(queue)`. */
export function queueTarget(queue: string, options: ConsumerOptions): Target {
  checkName("consume from", queue);
  return {
    queue,
    filter: options.filter ?? null,
    prepare: (channel) => ensureQueue(channel, queue, `consume from ${queue}`),
    isOwn: false,
  };
}

/** The target of `subscribe(topic)`. */
export function topicTarget(
  core: ConnectionCore,
  topic: string,
  options: SubscribeOptions,
): Target {
  const { name } = options;
  checkName("subscribe to", topic);
  if (name !== undefined) checkName("subscribe as", name);
  const durable = options.durable ?? name !== undefined;
  const shared = options.shared ?? false;
  if (name === undefined && (durable || shared)) {
    throw new TypeError("A durable or shared subscription needs a name");
  }
  const queue =
    name === undefined
      ? randomUuid(core.ports.random)
      : subscriptionQueueName(core.options.clientId, name, durable || !shared);
  const definition: QueueDefinition = {
    address: topic,
    name: queue,
    routing: "multicast",
    filter: options.filter ?? null,
    durable,
    temporary: !durable,
    autoCreated: false,
    maxConsumers: -1,
  };
  return {
    queue,
    // The queue keeps only what matches.
    filter: null,
    isOwn: !durable && !shared,
    async prepare(channel, isFirst) {
      await ensureAddress(channel, { address: topic, routing: "multicast" });
      if (shared) return createSharedQueue(channel, definition);
      if (durable) return ensureSubscription(channel, definition, isFirst);
      await createQueue(channel, definition);
    },
  };
}

/**
 * The queue that keeps a subscription's messages, named as Artemis names it, so that a Java program
 * finds the same one. Source: Artemis, `DestinationUtil.createQueueNameForSubscription`.
 */
export function subscriptionQueueName(
  clientId: string | undefined,
  name: string,
  durable: boolean,
): string {
  const parts = clientId === undefined ? [name] : [clientId, name];
  const escaped = parts.map((part) => part.replace(/[\\.]/g, "\\$&")).join(".");
  return durable ? escaped : `nonDurable.${escaped}`;
}

/** A consumer with a session of its own, so that what it gives back is nobody else's. */
export function ownSessionSource(
  core: ConnectionCore,
  target: Target,
  options: ConsumerOptions,
): IntakeSource {
  let session: CoreSession | undefined;
  return {
    queue: target.queue,
    async open(signal) {
      const flavour = options.ack === "pre" ? flavours.preAcknowledge : flavours.plain;
      const attempt = `consume from ${target.queue}`;
      const opened = await core.openSession(flavour, { timeout: Infinity, signal }, attempt);
      session = opened;
      const host = intakeHost(core, core.base, target, options);
      const adding = opened.addIntake(intakeSettings(core, target, options, false), host);
      return closingOnFailure(core, opened, whileWanted(core, signal, attempt, adding));
    },
    async close() {
      if (session !== undefined) await core.closeSession(session);
      if (target.isOwn) await dropOwnQueue(core, target.queue);
    },
  };
}

/** A consumer on a session that it shares: a transacted one. */
export function sharedSessionSource(
  core: ConnectionCore,
  session: CoreSession,
  target: Target,
  options: ConsumerOptions,
): IntakeSource {
  return {
    queue: target.queue,
    open(signal) {
      const host = intakeHost(core, session, target, options);
      const adding = session.addIntake(intakeSettings(core, target, options, false), host);
      const opening = whileWanted(core, signal, `consume from ${target.queue}`, adding);
      return removingOnFailure(core, session, adding, opening);
    },
    async close(intake: Intake) {
      const deadlineMs = deadlineIn(core.ports, core.options.callTimeoutMs);
      const attempt = `close the consumer of ${target.queue}`;
      const subject = { attempt, outcome: () => "unknown" as const };
      try {
        const removing = session.removeIntake(intake);
        await core.waitFor({ deadlineMs, signal: undefined }, subject, removing);
      } finally {
        session.abandonIntake(intake);
        if (target.isOwn) await dropOwnQueue(core, target.queue);
      }
    },
  };
}

/** What an intake consumes, and how. */
export function intakeSettings(
  core: ConnectionCore,
  target: Pick<Target, "queue" | "filter">,
  options: ConsumerOptions,
  browse: boolean,
): Omit<IntakeSettings, "consumerId" | "transacted"> {
  return {
    queue: target.queue,
    filter: target.filter,
    browse,
    priority: options.priority ?? 0,
    prefetch: options.prefetch ?? core.options.prefetch,
    settles: !browse && options.ack !== "pre",
    streamAboveBytes: options.streamAbove ?? limits.largeMessageBytesMax,
  };
}

/** What an intake needs of its session; copies of rejected messages and replies go through `session`. */
export function intakeHost(
  core: ConnectionCore,
  session: CoreSession,
  target: Pick<Target, "prepare">,
  options: ConsumerOptions,
): IntakeHost {
  let isFirst = true;
  const known = new Map<string, string>();
  /** As the broker's settings say; asked once for each address that messages come from. */
  const deadLetterAddress = async (origin: string): Promise<string> => {
    const asked = known.get(origin) ?? (await core.deadLetterAddressOf(origin));
    if (asked !== undefined && known.size < limits.deadLetterAddressesKnownMax) {
      known.set(origin, asked);
    }
    return asked ?? defaultDeadLetterAddress;
  };
  return {
    wallClock: core.ports.wallClock,
    compression: core.ports.compression,
    tracing: core.ports.tracing,
    async prepare(channel) {
      await target.prepare(channel, isFirst);
      isFirst = false;
    },
    settlesExactly: () => core.features?.has(settleFeature) === true,
    hasOwnDeadLetters: options.deadLetterAddress !== undefined,
    async delay(message, delayMs) {
      const dueMs = core.ports.wallClock.nowMs() + delayMs;
      const delayed = delayedCopy(message, dueMs);
      await session.outbox.send(delayed.target, delayed.copy);
    },
    async deadLetter(message, reason) {
      const address = options.deadLetterAddress ?? (await deadLetterAddress(message.address));
      session.transaction?.onSend();
      const copy = deadLetterCopy(message, address, reason);
      await session.outbox.send({ address, routing: "anycast" }, copy);
    },
    reply: (message, body, replyOptions) => sendReply(core, session, message, body, replyOptions),
    onWork: () => session.transaction?.onWork(),
    onError: core.reportError,
    overdueError: () => core.overdueError,
    unlessOverdue(attempt, call) {
      const subject = { attempt, outcome: () => "unknown" as const };
      return core.waitFor({ deadlineMs: Infinity, signal: undefined }, subject, call);
    },
    within: (wait, attempt, begin) => callWithin(core.ports, wait, attempt, begin),
  };
}

/** What `opening` gives, unless nobody wants it any more. */
function whileWanted(
  core: ConnectionCore,
  signal: AbortSignal,
  attempt: string,
  opening: Promise<Intake>,
): Promise<Intake> {
  const subject = { attempt, outcome: () => "none" as const };
  return core.waitFor({ deadlineMs: Infinity, signal }, subject, opening);
}

/** A session whose consumer could not be opened is of no use. */
async function closingOnFailure<T>(
  core: ConnectionCore,
  session: CoreSession,
  opening: Promise<T>,
): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    await core.closeSession(session);
    throw error;
  }
}

/** A consumer that opens after it was given up would hold messages for as long as its session lives. */
async function removingOnFailure(
  core: ConnectionCore,
  session: CoreSession,
  adding: Promise<Intake>,
  opening: Promise<Intake>,
): Promise<Intake> {
  try {
    return await opening;
  } catch (error) {
    adding.then(
      (intake) => session.removeIntake(intake).catch(core.reportError),
      // It did not open, and whoever wanted it has the error.
      () => undefined,
    );
    throw error;
  }
}

async function sendReply(
  core: ConnectionCore,
  session: CoreSession,
  message: ReceivedMessage,
  body: Body,
  options: SendOptions | undefined,
): Promise<void> {
  const refusal = core.refusal();
  if (refusal !== undefined) throw refusal;
  const { replyTo, correlationBytes } = message;
  if (replyTo === undefined) {
    throw new RejectedError(
      "EVH_ILLEGAL_STATE",
      `Cannot reply to the message ${message.id}: it names no address for replies`,
    );
  }
  session.transaction?.onSend();
  const target = {
    address: replyTo,
    routing: message.repliesToTopic ? "multicast" : "anycast",
    isTemporary: message.repliesToTemporary,
    mark: session.outbox.mark,
    markBesideId: core.keepsMarks,
  } as const;
  const encoded = encodeMessage(core.origin, target, body, {
    // A reply to a queue that ends with its connection is not worth the disk.
    durable: !message.repliesToTemporary,
    correlationId: message.correlationId ?? message.id,
    ...(correlationBytes === undefined || options?.correlationId !== undefined
      ? {}
      : { correlationBytes }),
    ...options,
  });
  await session.outbox.send(target, encoded, options);
}

async function ensureSubscription(
  channel: Channel,
  definition: QueueDefinition,
  isFirst: boolean,
): Promise<void> {
  const found = await queryQueue(channel, definition.name);
  if (!found.exists) return createQueue(channel, definition);
  if (found.address !== definition.address || (found.filter ?? null) !== definition.filter) {
    throw new RejectedError(
      "EVH_INVALID_QUEUE_USE",
      `Cannot subscribe as ${definition.name}: found it on ${String(found.address)} with the filter ` +
        `${String(found.filter)}, expected ${definition.address} with ${String(definition.filter)}; unsubscribe it first`,
    );
  }
  if (!isFirst || found.consumerCount === 0) return;
  throw new RejectedError(
    "EVH_MAX_CONSUMERS",
    `Cannot subscribe as ${definition.name}: found ${found.consumerCount} consumers, expected none as it is not shared`,
  );
}

/** The queue of a subscription without a name goes with its consumer. */
async function dropOwnQueue(core: ConnectionCore, queue: string): Promise<void> {
  const { channel } = core.base;
  if (channel === undefined) return;
  const deadlineMs = deadlineIn(core.ports, core.options.callTimeoutMs);
  const subject = { attempt: `delete the queue ${queue}`, outcome: () => "unknown" as const };
  const deleting = deleteQueue(channel, queue);
  try {
    // While the connection is broken nobody waits for it: the next one has the queue deleted.
    if (channel.isUp) await core.waitFor({ deadlineMs, signal: undefined }, subject, deleting);
    else deleting.catch(core.reportError);
  } catch {
    // It is temporary: it goes with the connection at the latest.
  }
}
