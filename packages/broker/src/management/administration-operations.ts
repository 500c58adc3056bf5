import type { ManagedBroker } from "./managed-broker.ts";
import {
  done,
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
import { addressLine, queueLine } from "./queue-view.ts";

const operation = operationsOf<ManagedBroker>();

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

/** Making, changing and deleting addresses and queues. */
export const administrationOperations: readonly Operation<ManagedBroker>[] = [
  ...queueCreations,
  ...queueChanges,
  ...addressOperations,
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
