import { EverholdError } from "@everhold/base";

import type { DivertOptions } from "../settings/divert-options.ts";
import { shownJson } from "../settings/settings-json.ts";
import { divertRoutings, type DivertRouting } from "../state/rules.ts";
import type { ManagedBroker, ManagedDivert } from "./managed-broker.ts";
import {
  done,
  flag,
  operationsOf,
  optionalText,
  text,
  texts,
  type Attribute,
  type Operation,
} from "./operation.ts";

const operation = operationsOf<ManagedBroker>();

const name = text("The name of the divert");
const optionalFilter = optionalText("Which messages; empty or null for all");
const transformer = optionalText("Must be empty or null: there are no transformers");
const routingType = optionalText("ANYCAST, MULTICAST, PASS or STRIP; null for STRIP");
const forwardingAddress = text("Where they go; several addresses with commas between them");
const configuration = text(
  "JSON with `name`, `address`, `forwarding-address` and, if wanted, `routing-name`, `filter-string`, `exclusive`, `routing-type`",
);

const rule = {
  name,
  routingName: optionalText("Shown, and of no effect; null for the divert's name"),
  address: text("The address whose messages are diverted"),
  forwardingAddress,
  exclusive: flag("Whether they go there only"),
  filterString: optionalFilter,
  transformerClassName: transformer,
};

/** Diverts. Names as in Artemis, `ActiveMQServerControl`. */
export const divertOperations: readonly Operation<ManagedBroker>[] = [
  operation("getDivertNames", {
    doc: "The names of all diverts",
    result: "strings",
    run: ({ engine }) => Array.from(engine.diverts.all(), (divert) => divert.name).sort(),
  }),
  operation("createDivert", {
    doc: "Makes a divert; it is kept",
    parameters: rule,
    result: "nothing",
    run: (broker, args) => done(create(broker, args.name, ruleOf({ ...args, routingType: null }))),
  }),
  operation("createDivert", {
    doc: "The same",
    parameters: { ...rule, routingType },
    result: "nothing",
    run: (broker, args) => done(create(broker, args.name, ruleOf(args))),
  }),
  operation("createDivert", {
    doc: "The same",
    parameters: { divertConfiguration: configuration },
    result: "nothing",
    run: (broker, args) => {
      const { name: divert, ...options } = readConfiguration(args.divertConfiguration);
      return done(create(broker, divert, options));
    },
  }),
  operation("updateDivert", {
    doc: "Gives a divert another filter, other addresses to forward to and another routing type; null leaves the latter two",
    parameters: {
      name,
      forwardingAddress: optionalText("Where they go; several addresses with commas between them"),
      filterString: optionalFilter,
      transformerClassName: transformer,
      transformerProperties: texts("Of no effect"),
      routingType,
    },
    result: "nothing",
    run: (broker, args) => {
      refuseTransformer(args.transformerClassName);
      const { definition, routing } = findDivert(broker, "update", args.name);
      const { address, exclusive, routingName, forwardTo } = definition;
      const forwards = args.forwardingAddress === null ? forwardTo : split(args.forwardingAddress);
      broker.engine.diverts.set(args.name, {
        address,
        exclusive,
        routingName,
        forwardingAddress: forwards,
        filter: args.filterString,
        routingType: args.routingType === null ? routing : routingOf(args.routingType),
      });
      return null;
    },
  }),
  operation("destroyDivert", {
    doc: "Ends a divert that was made at run time; one that the configuration has of this name is in force again",
    parameters: { name },
    result: "nothing",
    run: (broker, args) => {
      const divert = findDivert(broker, "destroy", args.name);
      if (!divert.atRunTime) {
        throw new EverholdError(
          "EVH_REJECTED",
          `cannot destroy the divert "${args.name}": it stands in the configuration`,
        );
      }
      broker.engine.diverts.remove(divert);
      return null;
    },
  }),
];

/** What can be read of one divert. Names as in Artemis, `DivertControl`. */
export const divertAttributes: readonly Attribute<ManagedDivert>[] = [
  {
    name: "UniqueName",
    doc: "Its name",
    result: "string",
    read: ({ divert }) => divert.name,
  },
  {
    name: "RoutingName",
    doc: "Another name, of no effect",
    result: "string",
    read: ({ divert }) => divert.definition.routingName,
  },
  {
    name: "Address",
    doc: "The address whose messages are diverted",
    result: "string",
    read: ({ divert }) => divert.definition.address,
  },
  {
    name: "ForwardingAddress",
    doc: "Where they go",
    result: "string",
    read: ({ divert }) => divert.definition.forwardTo.join(", "),
  },
  {
    name: "Filter",
    doc: "Which messages, `null` for all",
    result: "string",
    read: ({ divert }) => divert.definition.filter,
  },
  {
    name: "Exclusive",
    doc: "Whether they go there only",
    result: "boolean",
    read: ({ divert }) => divert.definition.exclusive,
  },
  {
    name: "RoutingType",
    doc: "Which routing type they have there: ANYCAST, MULTICAST, PASS or STRIP",
    result: "string",
    read: ({ divert }) => divert.routing.toUpperCase(),
  },
  {
    name: "AtRunTime",
    doc: "Whether it was made at run time; else it stands in the configuration",
    result: "boolean",
    read: ({ divert }) => divert.atRunTime,
  },
];

interface NamedRule {
  readonly name: string;
  readonly routingName: string | null;
  readonly address: string;
  readonly forwardingAddress: string;
  readonly exclusive: boolean;
  readonly filterString: string | null;
  readonly transformerClassName: string | null;
  readonly routingType: string | null;
}

function ruleOf(args: Omit<NamedRule, "name">): DivertOptions {
  refuseTransformer(args.transformerClassName);
  const { address, exclusive, routingName } = args;
  return {
    address,
    exclusive,
    forwardingAddress: split(args.forwardingAddress),
    filter: args.filterString,
    routingType: args.routingType === null ? "strip" : routingOf(args.routingType),
    ...(routingName === null || routingName === "" ? {} : { routingName }),
  };
}

function create(broker: ManagedBroker, divert: string, options: DivertOptions): void {
  if (broker.engine.diverts.find(divert) !== undefined) {
    throw new EverholdError("EVH_REJECTED", `cannot create the divert "${divert}": it exists`);
  }
  broker.engine.diverts.set(divert, options);
}

function findDivert(broker: ManagedBroker, what: string, divert: string) {
  const found = broker.engine.diverts.find(divert);
  if (found !== undefined) return found;
  throw new EverholdError(
    "EVH_REJECTED",
    `cannot ${what} the divert "${divert.slice(0, 100)}": there is none of this name`,
  );
}

function split(addresses: string): string[] {
  return addresses.split(",").map((address) => address.trim());
}

function routingOf(word: string): DivertRouting {
  const found = divertRoutings.find((one) => one === word.trim().toLowerCase());
  if (found !== undefined) return found;
  throw new EverholdError(
    "EVH_REJECTED",
    `cannot use the routing type "${word.slice(0, 100)}" for a divert: expected ANYCAST, MULTICAST, PASS or STRIP`,
  );
}

function refuseTransformer(className: string | null): void {
  if (className === null || className === "") return;
  throw new EverholdError(
    "EVH_NOT_IMPLEMENTED",
    `cannot use the transformer "${className.slice(0, 100)}": this broker has none`,
  );
}

const textKeys = [
  "name",
  "address",
  "forwarding-address",
  "routing-name",
  "filter-string",
  "routing-type",
];

function readConfiguration(json: string): DivertOptions & { readonly name: string } {
  const found = parseObject(json);
  for (const [key, value] of Object.entries(found)) {
    const isText = textKeys.includes(key) && (typeof value === "string" || value === null);
    const isFlag = key === "exclusive" && ["boolean", "string"].includes(typeof value);
    if (isText || isFlag) continue;
    if (key === "transformer-configuration") refuseTransformer(shownJson(value));
    throw wrongConfiguration(
      `found the key "${key.slice(0, 100)}" with ${shownJson(value)}, expected texts for ${textKeys.join(", ")}, and true or false for exclusive`,
    );
  }
  const textOf = (key: string): string | null => {
    const value = found[key];
    return typeof value === "string" ? value : null;
  };
  const divert = textOf("name");
  const address = textOf("address");
  const forwards = textOf("forwarding-address");
  if (divert === null || address === null || forwards === null) {
    throw wrongConfiguration("expected name, address and forwarding-address");
  }
  const { exclusive } = found;
  const options = ruleOf({
    routingName: textOf("routing-name"),
    address,
    forwardingAddress: forwards,
    exclusive: exclusive === true || exclusive === "true",
    filterString: textOf("filter-string"),
    transformerClassName: null,
    routingType: textOf("routing-type"),
  });
  return { name: divert, ...options };
}

function parseObject(json: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new EverholdError("EVH_REJECTED", "cannot read the divert: it is not JSON", {
      cause: error,
    });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw wrongConfiguration("expected a JSON object");
}

function wrongConfiguration(why: string): EverholdError {
  return new EverholdError("EVH_REJECTED", `cannot read the divert: ${why}`);
}
