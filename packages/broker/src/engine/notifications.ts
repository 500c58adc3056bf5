import { EverholdError } from "@everhold/base";
import {
  ByteWriter,
  defaultPriority,
  propertyNames,
  writeMessage,
  type TypedValue,
} from "@everhold/wire";

import { limits } from "../limits.ts";
import { notificationsAddress } from "./broker-addresses.ts";
import type { ClientLink } from "./client-link.ts";
import type { Consumer } from "./consumer.ts";
import type { Engine } from "./engine.ts";
import type { LiveAddress, LiveQueue } from "./live-queue.ts";
import { sendOwn } from "./own-messages.ts";
import type { Session } from "./session.ts";

/** What a notification is about. Source: Artemis, `CoreNotificationType`. */
export type NotificationType =
  | "ADDRESS_ADDED"
  | "ADDRESS_REMOVED"
  | "BINDING_ADDED"
  | "BINDING_REMOVED"
  | "CONNECTION_CREATED"
  | "CONNECTION_DESTROYED"
  | "CONSUMER_CLOSED"
  | "CONSUMER_CREATED"
  | "CONSUMER_SLOW"
  | "MESSAGE_EXPIRED"
  | "SESSION_CLOSED"
  | "SESSION_CREATED";

/** Property names. Source: Artemis, `ManagementHelper`. */
const names = {
  address: "_AMQ_Address",
  routingType: "_AMQ_Routing_Type",
  routingName: "_AMQ_RoutingName",
  clusterName: "_AMQ_ClusterName",
  bindingId: "_AMQ_Binding_ID",
  bindingType: "_AMQ_Binding_Type",
  filter: "_AMQ_FilterString",
  distance: "_AMQ_Distance",
  consumerCount: "_AMQ_ConsumerCount",
  user: "_AMQ_User",
  remoteAddress: "_AMQ_RemoteAddress",
  sessionName: "_AMQ_SessionName",
  consumerName: "_AMQ_ConsumerName",
  connectionName: "_AMQ_ConnectionName",
  clientId: "_AMQ_Client_ID",
  protocolName: "_AMQ_Protocol_Name",
  messageId: "_AMQ_Message_ID",
} as const;

type Properties = readonly (readonly [string, TypedValue | undefined])[];

/**
 * Tells whoever has a queue bound to `activemq.notifications` of what happens, by durable messages without
 * a body. Nothing is made while there is no such queue. What happens in a step is sent at its end, when
 * nothing else is being routed.
 */
export class Notifications {
  readonly #engine: Engine;
  #waiting: Uint8Array[] = [];

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Whether anybody listens. */
  get isWanted(): boolean {
    const address = this.#engine.catalog.findAddress(notificationsAddress);
    return address !== undefined && address.state.queues.length > 0;
  }

  connectionChanged(type: "CONNECTION_CREATED" | "CONNECTION_DESTROYED", link: ClientLink): void {
    if (!this.isWanted) return;
    this.#add(type, [
      [names.connectionName, text(link.id)],
      [names.remoteAddress, text(link.peer)],
    ]);
  }

  sessionChanged(type: "SESSION_CREATED" | "SESSION_CLOSED", session: Session): void {
    if (!this.isWanted) return;
    const { link } = session.sink;
    this.#add(type, [
      [names.connectionName, text(link.id)],
      [names.user, text(session.user)],
      [names.sessionName, text(session.name)],
      [names.clientId, text(link.clientId)],
      [names.protocolName, text("CORE")],
      [names.address, text(notificationsAddress)],
      [names.distance, int(0)],
    ]);
  }

  /** Of browsers nobody is told, as in Artemis. */
  consumerChanged(type: "CONSUMER_CREATED" | "CONSUMER_CLOSED", consumer: Consumer): void {
    if (consumer.isBrowser || !this.isWanted) return;
    const { session, queue } = consumer;
    this.#add(type, [
      ...this.#binding(queue),
      [names.filter, text(consumer.selector?.text)],
      [names.consumerCount, int(queue.consumers.length)],
      [names.user, text(session.user)],
      [names.remoteAddress, text(session.sink.link.peer)],
      [names.sessionName, text(session.name)],
      [names.clientId, text(session.sink.link.clientId)],
      [names.consumerName, long(consumer.id)],
    ]);
  }

  consumerSlow({ id, session, queue }: Consumer): void {
    if (!this.isWanted) return;
    const { link } = session.sink;
    this.#add("CONSUMER_SLOW", [
      [names.consumerCount, int(queue.consumers.length)],
      [names.address, text(queue.address.name)],
      [names.remoteAddress, text(link.peer)],
      [names.connectionName, text(link.id)],
      [names.consumerName, long(id)],
      [names.sessionName, text(session.name)],
    ]);
  }

  queueChanged(type: "BINDING_ADDED" | "BINDING_REMOVED", queue: LiveQueue): void {
    if (!this.isWanted) return;
    this.#add(type, [
      ...this.#binding(queue),
      [names.bindingType, int(0)],
      [names.bindingId, long(queue.state.id)],
      [names.filter, text(queue.state.definition.filter)],
    ]);
  }

  addressChanged(type: "ADDRESS_ADDED" | "ADDRESS_REMOVED", address: LiveAddress): void {
    if (!this.isWanted) return;
    const isAnycast = address.state.routingTypes[0] === "anycast";
    this.#add(type, [
      [names.address, text(address.name)],
      [names.routingType, { type: "byte", value: isAnycast ? 1 : 0 }],
    ]);
  }

  messageExpired(queue: LiveQueue, messageId: number): void {
    // One that is not read in time would make another one.
    if (queue.address.name === notificationsAddress || !this.isWanted) return;
    const isAnycast = queue.state.definition.routingType === "anycast";
    this.#add("MESSAGE_EXPIRED", [
      [names.address, text(queue.address.name)],
      [names.routingType, { type: "byte", value: isAnycast ? 1 : 0 }],
      [names.routingName, text(queue.name)],
      [names.messageId, long(messageId)],
    ]);
  }

  /** Sends what was noted in this step. A notification for which there is no room is dropped. */
  send(): void {
    while (this.#waiting.length > 0) {
      const waiting = this.#waiting;
      this.#waiting = [];
      if (!this.isWanted) return;
      for (const message of waiting) {
        try {
          sendOwn(this.#engine, notificationsAddress, message);
        } catch (error) {
          if (!EverholdError.is(error)) throw error;
          this.#engine.log.debug("A notification was dropped", {
            code: error.code,
            reason: error.message,
          });
        }
      }
    }
  }

  #binding(queue: LiveQueue): Properties {
    return [
      [names.address, text(queue.address.name)],
      // A name that no other broker has for its queues, as Artemis makes it.
      [names.clusterName, text(`${queue.name}${this.#engine.nodeId}`)],
      [names.routingName, text(queue.name)],
      [names.distance, int(0)],
    ];
  }

  #add(type: NotificationType, properties: Properties): void {
    if (this.#waiting.length >= limits.notificationsPerStepMax) return;
    const timestamp = this.#engine.nowMs();
    const all = new Map<string, TypedValue>();
    for (const [name, value] of properties) if (value !== undefined) all.set(name, value);
    all.set(propertyNames.notificationType, { type: "string", value: type });
    all.set(propertyNames.notificationTimestamp, { type: "long", value: timestamp });
    const writer = new ByteWriter(512);
    writeMessage(writer, {
      messageId: 0,
      address: notificationsAddress,
      userId: null,
      type: 0,
      durable: true,
      expiration: 0,
      timestamp,
      priority: defaultPriority,
      properties: all,
      body: new Uint8Array(0),
    });
    this.#waiting.push(writer.toBytes());
  }
}

function text(value: string | null | undefined): TypedValue | undefined {
  return value === null || value === undefined || value === ""
    ? undefined
    : { type: "string", value };
}

function int(value: number): TypedValue {
  return { type: "int", value };
}

function long(value: number): TypedValue {
  return { type: "long", value };
}
