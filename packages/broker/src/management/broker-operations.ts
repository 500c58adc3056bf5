import { administrationOperations } from "./administration-operations.ts";
import { branchOperations } from "./branch-operations.ts";
import { clientOperations } from "./client-operations.ts";
import {
  connectionColumns,
  consumerColumns,
  consumersOf,
  producerColumns,
  producersOf,
  sessionColumns,
  sessionsOf,
} from "./client-view.ts";
import { divertOperations } from "./divert-operations.ts";
import { listPage } from "./listing.ts";
import type { ManagedBroker } from "./managed-broker.ts";
import { integer, operationsOf, optionalText, text, type Operation } from "./operation.ts";
import { routingTypeOf } from "./queue-administration.ts";
import { settingsOperations } from "./settings-operations.ts";
import { addressColumns, queueColumns } from "./queue-view.ts";

const operation = operationsOf<ManagedBroker>();

const paging = {
  options: text(
    "JSON: `field`, `operation`, `value` of a filter, `sortField`, `sortOrder`; empty for none",
  ),
  page: integer("From 1; −1 for all rows"),
  pageSize: integer("Rows of a page; −1 for all rows"),
};
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
    doc: "The brokers that belong together: this one, and which takes its place when it fails",
    result: "json",
    run: (broker) => {
      const [endpoint] = broker.endpoints();
      const { backup, ...topology } = broker.topology;
      const at = topology.primary ?? endpoint;
      if (at === undefined) return [];
      const primary = `${at.host}:${at.port}`;
      const next = backup === null ? {} : { backup: `${backup.host}:${backup.port}` };
      return [{ nodeID: broker.nodeId, live: primary, primary, ...next }];
    },
  }),
];

/** What can be done to the broker. Names as in Artemis, `ActiveMQServerControl`. */
export const brokerOperations: readonly Operation<ManagedBroker>[] = [
  ...administrationOperations,
  ...listings,
  ...clientOperations,
  ...branchOperations,
  ...settingsOperations,
  ...divertOperations,
];
