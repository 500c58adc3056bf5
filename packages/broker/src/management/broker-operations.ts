import { EverholdError } from "@everhold/base";

import type { ClientLink } from "../engine/client-link.ts";
import { connectionColumns, consumerColumns, consumerRows, consumersOf } from "./client-view.ts";
import { producerColumns, producersOf, sessionColumns, sessionsOf } from "./client-view.ts";
import { listPage } from "./listing.ts";
import type { ManagedBroker } from "./managed-broker.ts";
import {
  flag,
  integer,
  operationsOf,
  optionalFlag,
  optionalInteger,
  optionalText,
  text,
  type ManagementValue,
  type Operation,
} from "./operation.ts";
import {
  createAddress,
  createQueue,
  deleteAddress,
  destroyQueue,
  findAddress,
  routingTypeOf,
  updateAddress,
  updateQueue,
} from "./queue-administration.ts";
import { describeConfiguration, readConfiguration } from "./queue-configuration.ts";
import { addressColumns, addressLine, queueColumns, queueLine } from "./queue-view.ts";

const operation = operationsOf<ManagedBroker>();

const paging = {
  options: text(
    "JSON: `field`, `operation`, `value` of a filter, `sortField`, `sortOrder`; empty for none",
  ),
  page: integer("From 1; −1 for all rows"),
  pageSize: integer("Rows of a page; −1 for all rows"),
};
const address = text("The name of the address; empty for that of the queue");
const queueName = text("The name of the queue");
const filter = optionalText("The queue's filter; empty or null for none");
const durable = flag("Whether the queue survives a restart");
const routingType = text("ANYCAST or MULTICAST");
const configuration = text("JSON with the keys of Artemis' queue configuration");
const removeConsumers = flag("Whether consumers are sent away; without, the queue must have none");

const queueCreations: readonly Operation<ManagedBroker>[] = [
  operation("createQueue", {
    doc: "Creates a queue. Gives its configuration",
    parameters: { queueConfiguration: configuration },
    result: "json",
    run: (broker, args) => createConfigured(broker, args.queueConfiguration, false),
  }),
  operation("createQueue", {
    doc: "The same, where a queue of the name may exist",
    parameters: {
      queueConfiguration: configuration,
      ignoreIfExists: flag("Whether that is no failure"),
    },
    result: "json",
    run: (broker, args) => createConfigured(broker, args.queueConfiguration, args.ignoreIfExists),
  }),
  operation("createQueue", {
    doc: "Creates a durable queue of the address's routing type",
    parameters: { address, name: queueName },
    result: "nothing",
    run: (broker, args) => done(createQueue(broker, { ...args, routingType: null })),
  }),
  operation("createQueue", {
    doc: "Creates a durable queue",
    parameters: { address, name: queueName, routingType },
    result: "nothing",
    run: (broker, args) => done(createQueue(broker, args)),
  }),
  operation("createQueue", {
    doc: "Creates a queue of the address's routing type",
    parameters: { address, name: queueName, durable },
    result: "nothing",
    run: (broker, args) =>
      done(
        createQueue(broker, { ...args, routingType: null, attributes: { durable: args.durable } }),
      ),
  }),
  operation("createQueue", {
    doc: "Creates a queue",
    parameters: { address, name: queueName, durable, routingType },
    result: "nothing",
    run: (broker, args) =>
      done(createQueue(broker, { ...args, attributes: { durable: args.durable } })),
  }),
  operation("createQueue", {
    doc: "Creates a queue of the address's routing type",
    parameters: { address, name: queueName, filter, durable },
    result: "nothing",
    run: (broker, args) => {
      const attributes = { filter: args.filter, durable: args.durable };
      return done(createQueue(broker, { ...args, routingType: null, attributes }));
    },
  }),
  operation("createQueue", {
    doc: "Creates a queue",
    parameters: { address, name: queueName, filter, durable, routingType },
    result: "nothing",
    run: (broker, args) => {
      const attributes = { filter: args.filter, durable: args.durable };
      return done(createQueue(broker, { ...args, attributes }));
    },
  }),
  operation("createQueue", {
    doc: "Creates a queue. Gives a line about it",
    parameters: {
      address,
      routingType,
      name: queueName,
      filter,
      durable,
      maxConsumers: integer("How many consumers it takes, −1 for any number"),
      purgeOnNoConsumers: flag("Whether its messages go when the last consumer goes"),
      autoCreateAddress: flag("Whether a missing address is created"),
    },
    result: "string",
    run: (broker, args) => {
      const { name, maxConsumers, purgeOnNoConsumers } = args;
      const attributes = {
        filter: args.filter,
        durable: args.durable,
        maxConsumers,
        purgeOnNoConsumers,
      };
      const createsAddress = args.autoCreateAddress;
      const request = { address: args.address, name, routingType: args.routingType };
      return queueLine(createQueue(broker, { ...request, attributes, createsAddress }));
    },
  }),
];

const changes = {
  name: queueName,
  routingType: optionalText("ANYCAST or MULTICAST; null leaves it"),
  maxConsumers: optionalInteger("How many consumers it takes; null leaves it"),
  purgeOnNoConsumers: optionalFlag(
    "Whether its messages go with the last consumer; null leaves it",
  ),
};
const exclusive = optionalFlag("Whether one consumer gets all messages; null leaves it");

const queueChanges: readonly Operation<ManagedBroker>[] = [
  operation("updateQueue", {
    doc: "Changes what a configuration names. Gives the whole configuration",
    parameters: { queueConfiguration: configuration },
    result: "json",
    run: (broker, args) => {
      const { name, routingType: type, attributes } = readConfiguration(args.queueConfiguration);
      return describeConfiguration(
        updateQueue(broker, name, {
          ...attributes,
          ...(type === null ? {} : { routingType: routingTypeOf(type) }),
        }),
      );
    },
  }),
  operation("updateQueue", {
    doc: "Changes attributes of a queue. Gives a line about it",
    parameters: changes,
    result: "string",
    run: (broker, args) => update(broker, { ...args, exclusive: null }),
  }),
  operation("updateQueue", {
    doc: "The same",
    parameters: { ...changes, exclusive },
    result: "string",
    run: update,
  }),
  operation("destroyQueue", {
    doc: "Deletes a queue with its messages; nobody may consume",
    parameters: { name: queueName },
    result: "nothing",
    run: (broker, args) =>
      done(destroyQueue(broker, args.name, { removesConsumers: false, deletesAddress: false })),
  }),
  operation("destroyQueue", {
    doc: "Deletes a queue with its messages",
    parameters: { name: queueName, removeConsumers },
    result: "nothing",
    run: (broker, args) => {
      const removesConsumers = args.removeConsumers;
      return done(destroyQueue(broker, args.name, { removesConsumers, deletesAddress: false }));
    },
  }),
  operation("destroyQueue", {
    doc: "Deletes a queue with its messages",
    parameters: {
      name: queueName,
      removeConsumers,
      autoDeleteAddress: flag("Whether the address goes with its last queue"),
    },
    result: "nothing",
    run: (broker, args) => {
      const removesConsumers = args.removeConsumers;
      const deletesAddress = args.autoDeleteAddress;
      return done(destroyQueue(broker, args.name, { removesConsumers, deletesAddress }));
    },
  }),
];

const addressName = text("The name of the address");

const addressOperations: readonly Operation<ManagedBroker>[] = [
  operation("createAddress", {
    doc: "Creates an address. Gives a line about it",
    parameters: { name: addressName, routingTypes: text("One or both, separated by a comma") },
    result: "string",
    run: (broker, args) => addressLine(createAddress(broker, args.name, args.routingTypes)),
  }),
  operation("updateAddress", {
    doc: "Sets an address's routing types. Gives a line about it",
    parameters: {
      name: addressName,
      routingTypes: optionalText("One or both, separated by a comma; null leaves them"),
    },
    result: "string",
    run: (broker, args) => addressLine(updateAddress(broker, args.name, args.routingTypes)),
  }),
  operation("deleteAddress", {
    doc: "Deletes an address that has no queues",
    parameters: { name: addressName },
    result: "nothing",
    run: (broker, args) => done(deleteAddress(broker, args.name, false)),
  }),
  operation("deleteAddress", {
    doc: "Deletes an address",
    parameters: { name: addressName, force: flag("Whether its queues go as well") },
    result: "nothing",
    run: (broker, args) => done(deleteAddress(broker, args.name, args.force)),
  }),
  operation("getAddressInfo", {
    doc: "A line about an address",
    parameters: { address: addressName },
    result: "string",
    run: (broker, args) => addressLine(findAddress(broker, "show", args.address)),
  }),
  operation("listBindingsForAddress", {
    doc: "A line about each queue of an address",
    parameters: { address: addressName },
    result: "string",
    run: (broker, args) => {
      const found = findAddress(broker, "show", args.address);
      return [...found.anycast, ...found.multicast].map(queueLine).join(",");
    },
  }),
  operation("listAddresses", {
    doc: "The names of all addresses in one text",
    parameters: { separator: text("What stands between them") },
    result: "string",
    run: ({ engine }, args) => {
      const names = Array.from(engine.catalog.addresses(), (each) => each.name);
      return names.sort().join(args.separator);
    },
  }),
];

const listings: readonly Operation<ManagedBroker>[] = [
  operation("listAddresses", {
    doc: "A page of addresses",
    parameters: paging,
    result: "page",
    run: ({ engine }, args) => listPage(engine.catalog.addresses(), addressColumns, args),
  }),
  operation("listQueues", {
    doc: "A page of queues",
    parameters: paging,
    result: "page",
    run: ({ engine }, args) => listPage(engine.catalog.queues(), queueColumns, args),
  }),
  operation("listConnections", {
    doc: "A page of connections",
    parameters: paging,
    result: "page",
    run: ({ clients }, args) => listPage(clients.links(), connectionColumns, args),
  }),
  operation("listSessions", {
    doc: "A page of sessions",
    parameters: paging,
    result: "page",
    run: (broker, args) => listPage(sessionsOf(broker), sessionColumns, args),
  }),
  operation("listConsumers", {
    doc: "A page of consumers",
    parameters: paging,
    result: "page",
    run: (broker, args) => listPage(consumersOf(broker), consumerColumns, args),
  }),
  operation("listProducers", {
    doc: "A page of producers",
    parameters: paging,
    result: "page",
    run: (broker, args) => listPage(producersOf(broker), producerColumns, args),
  }),
  operation("getQueueNames", {
    doc: "The names of the queues of one routing type",
    parameters: { routingType: optionalText("ANYCAST or MULTICAST; empty or null for all") },
    result: "strings",
    run: ({ engine }, args) => {
      const type =
        (args.routingType ?? "") === "" ? undefined : routingTypeOf(args.routingType ?? "");
      return [...engine.catalog.queues()]
        .filter(({ state }) => type === undefined || state.definition.routingType === type)
        .map((queue) => queue.name)
        .sort();
    },
  }),
  operation("listNetworkTopology", {
    doc: "The brokers that belong together: this one",
    result: "json",
    run: (broker) => {
      const [endpoint] = broker.endpoints();
      if (endpoint === undefined) return [];
      const primary = `${endpoint.host}:${endpoint.port}`;
      return [{ nodeID: broker.nodeId, live: primary, primary }];
    },
  }),
];

const connectionId = text("The connection's id");

const clientOperations: readonly Operation<ManagedBroker>[] = [
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
    parameters: { address: addressName },
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

/** What can be done to the broker. Names as in Artemis, `ActiveMQServerControl`. */
export const brokerOperations: readonly Operation<ManagedBroker>[] = [
  ...queueCreations,
  ...queueChanges,
  ...addressOperations,
  ...listings,
  ...clientOperations,
];

function createConfigured(broker: ManagedBroker, json: string, mayExist: boolean): ManagementValue {
  const request = readConfiguration(json);
  const found = mayExist ? broker.engine.catalog.findQueue(request.name) : undefined;
  return describeConfiguration(found ?? createQueue(broker, request));
}

/** Changes what is not `null`. */
function update(
  broker: ManagedBroker,
  args: {
    readonly name: string;
    readonly routingType: string | null;
    readonly maxConsumers: number | null;
    readonly purgeOnNoConsumers: boolean | null;
    readonly exclusive: boolean | null;
  },
): string {
  const { name, routingType: type, maxConsumers, purgeOnNoConsumers } = args;
  return queueLine(
    updateQueue(broker, name, {
      ...(type === null ? {} : { routingType: routingTypeOf(type) }),
      ...(maxConsumers === null ? {} : { maxConsumers }),
      ...(purgeOnNoConsumers === null ? {} : { purgeOnNoConsumers }),
      ...(args.exclusive === null ? {} : { exclusive: args.exclusive }),
    }),
  );
}

function sessionRows(broker: ManagedBroker, connection?: string): ManagementValue {
  return sessionsOf(broker, connection).map((session) => {
    return {
      sessionID: session.name,
      creationTime: session.createdMs,
      consumerCount: [...session.consumers].length,
      ...(session.user === null ? {} : { validatedUser: session.user, principal: session.user }),
      metadata: Object.fromEntries(session.metadata),
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

function done(_: unknown): null {
  return null;
}
