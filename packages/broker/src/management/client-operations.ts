import { EverholdError } from "@everhold/base";

import type { ClientLink } from "../engine/client-link.ts";
import { consumerRows, consumersOf, sessionsOf } from "./client-view.ts";
import type { ManagedBroker } from "./managed-broker.ts";
import { operationsOf, text, type ManagementValue, type Operation } from "./operation.ts";

const operation = operationsOf<ManagedBroker>();

const connectionId = text("The connection's id");

/** Looking at clients without pages, and ending them. */
export const clientOperations: readonly Operation<ManagedBroker>[] = [
  operation("listConnectionIDs", {
    doc: "The ids of all connections",
    result: "strings",
    run: ({ clients }) => Array.from(clients.links(), (link) => link.id),
  }),
  operation("listRemoteAddresses", {
    doc: "Where the clients are",
    result: "strings",
    run: ({ clients }) => Array.from(clients.links(), (link) => link.peer),
  }),
  operation("listConnectionsAsJSON", {
    doc: "All connections",
    result: "json",
    run: ({ clients }) =>
      Array.from(clients.links(), (link) => {
        return {
          connectionID: link.id,
          clientAddress: link.peer,
          creationTime: link.createdMs,
          sessionCount: [...link.sessions].length,
        };
      }),
  }),
  operation("listSessionsAsJSON", {
    doc: "The sessions of a connection",
    parameters: { connectionID: connectionId },
    result: "json",
    run: (broker, args) => sessionRows(broker, args.connectionID),
  }),
  operation("listAllSessionsAsJSON", {
    doc: "All sessions",
    result: "json",
    run: (broker) => sessionRows(broker),
  }),
  operation("listConsumersAsJSON", {
    doc: "The consumers of a connection",
    parameters: { connectionID: connectionId },
    result: "json",
    run: (broker, args) => consumerRows(broker, args.connectionID),
  }),
  operation("listAllConsumersAsJSON", {
    doc: "All consumers",
    result: "json",
    run: (broker) => consumerRows(broker),
  }),
  operation("closeConnectionWithID", {
    doc: "Ends a connection. Gives whether there was one",
    parameters: { ID: connectionId },
    result: "boolean",
    run: (broker, args) => closeConnections(broker, (link) => link.id === args.ID),
  }),
  operation("closeConnectionsForUser", {
    doc: "Ends the connections of a user. Gives whether there was one",
    parameters: { userName: text("The user") },
    result: "boolean",
    run: (broker, args) =>
      closeConnections(broker, (link) =>
        [...link.sessions].some(({ user }) => user === args.userName),
      ),
  }),
  operation("closeConnectionsForAddress", {
    doc: "Ends the connections from an IP address. Gives whether there was one",
    parameters: { ipAddress: text("As `listRemoteAddresses` shows it, with or without the port") },
    result: "boolean",
    run: (broker, args) =>
      closeConnections(
        broker,
        ({ peer }) => peer === args.ipAddress || peer.startsWith(`${args.ipAddress}:`),
      ),
  }),
  operation("closeConsumerConnectionsForAddress", {
    doc: "Ends the connections that consume from an address. Gives whether there was one",
    parameters: { address: text("The name of the address") },
    result: "boolean",
    run: (broker, args) =>
      closeConnections(broker, (link) =>
        [...link.sessions].some((session) =>
          [...session.consumers].some(({ queue }) => queue.address.name === args.address),
        ),
      ),
  }),
  operation("closeConsumerWithID", {
    doc: "Ends a consumer; what it held goes back. Gives whether there was one",
    parameters: { sessionID: text("The session's id"), ID: text("The consumer's id") },
    result: "boolean",
    run: (broker, args) => {
      const found = consumersOf(broker).find(
        ({ session, id }) => session.name === args.sessionID && String(id) === args.ID,
      );
      if (found === undefined) return false;
      found.session.closeConsumer(found);
      found.session.sink.disconnectConsumer(found.id);
      return true;
    },
  }),
];

function sessionRows(broker: ManagedBroker, connection?: string): ManagementValue {
  return sessionsOf(broker, connection).map((session) => {
    return {
      sessionID: session.name,
      creationTime: session.createdMs,
      consumerCount: [...session.consumers].length,
      ...(session.user === null ? {} : { validatedUser: session.user, principal: session.user }),
      metadata: session.metadata.all(),
    };
  });
}

function closeConnections(
  { clients }: ManagedBroker,
  isMeant: (link: ClientLink) => boolean,
): boolean {
  const found = [...clients.links()].filter(isMeant);
  for (const link of found) {
    link.fail(new EverholdError("EVH_DISCONNECTED", "somebody who manages the broker closed it"));
  }
  return found.length > 0;
}
