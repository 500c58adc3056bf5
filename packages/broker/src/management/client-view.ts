import type { ClientLink } from "../engine/client-link.ts";
import type { Consumer } from "../engine/consumer.ts";
import type { Session } from "../engine/session.ts";
import type { Column } from "./listing.ts";
import type { ManagedBroker } from "./managed-broker.ts";

/** A connection in a listing. Names as in Artemis, `ConnectionField`. */
export const connectionColumns: readonly Column<ClientLink>[] = [
  { name: "connectionID", value: (link) => link.id },
  { name: "remoteAddress", value: (link) => link.peer },
  { name: "users", value: usersOf },
  { name: "creationTime", value: (link) => link.createdMs },
  { name: "protocol", value: () => "CORE" },
  { name: "clientID", value: (link) => link.clientId },
  { name: "sessionCount", value: (link) => [...link.sessions].length },
  { name: "status", value: statusOf },
];

/** A session in a listing. Names as in Artemis, `SessionField`. */
export const sessionColumns: readonly Column<Session>[] = [
  { name: "id", value: (session) => session.name },
  { name: "user", value: (session) => session.user ?? "" },
  { name: "creationTime", value: (session) => session.createdMs },
  { name: "consumerCount", value: (session) => [...session.consumers].length },
  { name: "producerCount", value: (session) => session.producers.count },
  { name: "connectionID", value: (session) => session.sink.link.id },
  { name: "clientID", value: (session) => session.sink.link.clientId },
  { name: "remoteAddress", value: (session) => session.sink.link.peer },
  { name: "metadata", value: (session) => JSON.stringify(session.metadata.all()) },
  { name: "status", value: (session) => statusOf(session.sink.link) },
];

/** A consumer in a listing. Names as in Artemis, `ConsumerField`. */
export const consumerColumns: readonly Column<Consumer>[] = [
  { name: "id", value: (consumer) => consumer.id },
  { name: "session", value: (consumer) => consumer.session.name },
  { name: "clientID", value: (consumer) => consumer.session.sink.link.clientId },
  { name: "user", value: (consumer) => consumer.session.user ?? "" },
  { name: "protocol", value: () => "CORE" },
  { name: "queue", value: (consumer) => consumer.queue.name },
  { name: "queueType", value: (consumer) => consumer.queue.state.definition.routingType },
  { name: "filter", value: (consumer) => consumer.selector?.text ?? "" },
  { name: "address", value: (consumer) => consumer.queue.address.name },
  { name: "remoteAddress", value: (consumer) => consumer.session.sink.link.peer },
  { name: "creationTime", value: (consumer) => consumer.createdMs },
  { name: "browseOnly", value: (consumer) => consumer.isBrowser },
  { name: "messagesInTransit", value: (consumer) => consumer.deliveries.count },
  { name: "messagesDelivered", value: (consumer) => consumer.deliveredCount },
  { name: "messagesAcknowledged", value: (consumer) => consumer.acknowledgedCount },
  { name: "status", value: (consumer) => statusOf(consumer.session.sink.link) },
];

/** A producer and its session. */
export interface ListedProducer {
  readonly session: Session;
  readonly id: number;
  readonly address: string | null;
  readonly createdMs: number;
  readonly sentCount: number;
}

/** A producer in a listing. Names as in Artemis, `ProducerField`. */
export const producerColumns: readonly Column<ListedProducer>[] = [
  { name: "id", value: (producer) => producer.id },
  { name: "session", value: ({ session }) => session.name },
  { name: "clientID", value: ({ session }) => session.sink.link.clientId },
  { name: "user", value: ({ session }) => session.user ?? "" },
  { name: "protocol", value: () => "CORE" },
  { name: "address", value: (producer) => producer.address ?? "" },
  { name: "remoteAddress", value: ({ session }) => session.sink.link.peer },
  { name: "creationTime", value: (producer) => producer.createdMs },
  { name: "msgSent", value: (producer) => producer.sentCount },
];

/** All sessions, or those of one connection. */
export function sessionsOf(broker: ManagedBroker, connectionId?: string): Session[] {
  return [...broker.clients.links()]
    .filter((link) => connectionId === undefined || link.id === connectionId)
    .flatMap((link) => [...link.sessions]);
}

/** All consumers, or those of one connection. */
export function consumersOf(broker: ManagedBroker, connectionId?: string): Consumer[] {
  return sessionsOf(broker, connectionId).flatMap((session) => [...session.consumers]);
}

/** All producers. */
export function producersOf(broker: ManagedBroker): ListedProducer[] {
  return sessionsOf(broker).flatMap((session) =>
    Array.from(session.producers.all(), (producer) => {
      const { id, address, createdMs, sentCount } = producer;
      return { session, id, address, createdMs, sentCount };
    }),
  );
}

/** A consumer as the listings without pages show it. */
export interface ConsumerRow {
  readonly [name: string]: string | number | boolean;
  readonly queueName: string;
}

/** Consumers, those of one connection where it is given. Names as in Artemis, `listConsumersAsJSON`. */
export function consumerRows(broker: ManagedBroker, connectionId?: string): ConsumerRow[] {
  return consumersOf(broker, connectionId).map((consumer) => {
    const { session, queue } = consumer;
    return {
      consumerID: consumer.id,
      connectionID: session.sink.link.id,
      sessionID: session.name,
      queueName: queue.name,
      browseOnly: consumer.isBrowser,
      creationTime: consumer.createdMs,
      deliveringCount: consumer.deliveries.count,
      messagesInTransit: consumer.deliveries.count,
      messagesDelivered: consumer.deliveredCount,
      messagesAcknowledged: consumer.acknowledgedCount,
      status: statusOf(session.sink.link),
      ...(consumer.selector === undefined ? {} : { filter: consumer.selector.text }),
    };
  });
}

function usersOf(link: ClientLink): string {
  const users = new Set(Array.from(link.sessions, (session) => session.user ?? ""));
  return [...users].sort().join(",");
}

/** `PARKED` while the connection is broken and its client may come back for its sessions. */
function statusOf(link: ClientLink): string {
  return link.isParked ? "PARKED" : "OK";
}
