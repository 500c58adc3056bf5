import { EverholdError } from "@everhold/base";

import { addressAttributes, addressOperations } from "./address-operations.ts";
import { acceptorAttributes, brokerAttributes } from "./broker-attributes.ts";
import { brokerOperations } from "./broker-operations.ts";
import { divertAttributes } from "./divert-operations.ts";
import { limits } from "./limits.ts";
import {
  acceptorsOf,
  type ManagedAcceptor,
  type ManagedAddress,
  type ManagedBroker,
  type ManagedDivert,
  type ManagedQueue,
} from "./managed-broker.ts";
import {
  signatureOf,
  type Attribute,
  type ManagementValue,
  type Operation,
  type Outcome,
  type ResultType,
} from "./operation.ts";
import { queueAttributes } from "./queue-attributes.ts";
import { groupOperations, queueKindAttributes } from "./queue-kind-attributes.ts";
import { queueOperations } from "./queue-operations.ts";

/** What there is to read and to do of one kind of resource. */
export interface ResourceTable<T> {
  readonly attributes: readonly Attribute<T>[];
  readonly operations: readonly Operation<T>[];
}

/** Everything that management offers, by the kind of resource: the one table that all ways to it share. */
export const managementTable: {
  readonly broker: ResourceTable<ManagedBroker>;
  readonly address: ResourceTable<ManagedAddress>;
  readonly queue: ResourceTable<ManagedQueue>;
  readonly divert: ResourceTable<ManagedDivert>;
  readonly acceptor: ResourceTable<ManagedAcceptor>;
} = {
  broker: { attributes: brokerAttributes, operations: brokerOperations },
  address: { attributes: addressAttributes, operations: addressOperations },
  queue: {
    attributes: [...queueAttributes, ...queueKindAttributes],
    operations: [...queueOperations, ...groupOperations],
  },
  divert: { attributes: divertAttributes, operations: [] },
  acceptor: { attributes: acceptorAttributes, operations: [] },
};

/** What a request came to: of which type, and the value or the promise of it. */
export interface ManagementAnswer {
  readonly result: ResultType;
  readonly value: Outcome;
}

/**
 * Does what is asked of resources by their names: `broker`, `queue.NAME`, `address.NAME`, `divert.NAME`,
 * `acceptor.NAME`.
 * Knows no protocol. What a request changes is committed when everything is that is in the journal at its
 * end.
 */
export class Management {
  readonly #broker: ManagedBroker;
  #waitingCount = 0;

  constructor(broker: ManagedBroker) {
    this.#broker = broker;
  }

  /**
   * Calls an operation. Attributes without parameters may be called, too: `getMessageCount`, `isPaused`.
   * @throws EverholdError EVH_UNSUPPORTED for what does not exist, with what does; EVH_REJECTED for
   * arguments of a wrong number or type, with the right ones; and whatever the operation throws
   */
  invoke(
    resource: string,
    operation: string,
    values: readonly ManagementValue[],
  ): ManagementAnswer {
    this.#endStepLater();
    return this.#count(this.#find(resource).invoke(operation, values));
  }

  /** Reads an attribute. @throws EverholdError EVH_UNSUPPORTED for what does not exist, with what does */
  read(resource: string, attribute: string): ManagementAnswer {
    this.#endStepLater();
    return this.#count(this.#find(resource).read(attribute));
  }

  /** Sees to the end of the step, whoever called and whatever comes of it. */
  #endStepLater(): void {
    const { engine, ports } = this.#broker;
    ports.timers.atTurnEnd(() => {
      engine.endStep();
    });
  }

  /** Counts what takes longer than this step. */
  #count(answer: ManagementAnswer): ManagementAnswer {
    const { value } = answer;
    if (!(value instanceof Promise)) return answer;
    this.#waitingCount += 1;
    const isDone = (): void => {
      this.#waitingCount -= 1;
    };
    value.then(isDone, isDone);
    return answer;
  }

  /** @throws EverholdError EVH_UNSUPPORTED, EVH_OVERLOADED, EVH_CLOSED */
  #find(name: string): Resource {
    if (this.#waitingCount >= limits.requestsWaitingMax) {
      throw new EverholdError(
        "EVH_OVERLOADED",
        `cannot manage "${name}" now: ${this.#waitingCount} requests are under way, which is the limit`,
      );
    }
    const broker = this.#broker;
    if (broker.engine.isHalted) {
      throw new EverholdError("EVH_CLOSED", `cannot manage "${name}": the broker stops`);
    }
    if (name === "broker") return bind(name, managementTable.broker, broker);
    const dot = name.indexOf(".");
    const kind = name.slice(0, dot);
    const rest = name.slice(dot + 1);
    switch (dot < 0 ? "" : kind) {
      case "queue": {
        const queue = broker.engine.catalog.findQueue(rest);
        if (queue !== undefined) return bind(name, managementTable.queue, { broker, queue });
        break;
      }
      case "address": {
        const address = broker.engine.catalog.findAddress(rest);
        if (address !== undefined) return bind(name, managementTable.address, { broker, address });
        break;
      }
      case "divert": {
        const divert = broker.engine.diverts.find(rest);
        if (divert !== undefined) return bind(name, managementTable.divert, { broker, divert });
        break;
      }
      case "acceptor": {
        const acceptor = acceptorsOf(broker).find((each) => each.name === rest);
        if (acceptor !== undefined) return bind(name, managementTable.acceptor, acceptor);
        break;
      }
      default:
        throw new EverholdError(
          "EVH_UNSUPPORTED",
          `there is no resource "${name}": expected broker, queue.NAME, address.NAME, divert.NAME or acceptor.NAME`,
        );
    }
    throw new EverholdError("EVH_UNSUPPORTED", `there is no ${kind} of the name "${rest}"`);
  }
}

interface Resource {
  invoke(operation: string, values: readonly ManagementValue[]): ManagementAnswer;
  read(attribute: string): ManagementAnswer;
}

/** A resource together with what there is of its kind. */
function bind<T>(resource: string, table: ResourceTable<T>, target: T): Resource {
  const readAttribute = (attribute: Attribute<T>): ManagementAnswer => {
    return { result: attribute.result, value: attribute.read(target) };
  };
  return {
    invoke: (name, values) => {
      const operations = table.operations.filter((each) => each.name === name);
      const attribute = table.attributes.find((each) => getterOf(each) === name);
      const fitting = operations.find((each) => each.accepts(values));
      if (fitting !== undefined) {
        return { result: fitting.result, value: fitting.run(target, values) };
      }
      if (attribute !== undefined && values.length === 0) return readAttribute(attribute);
      const signatures = operations.map(signatureOf);
      if (attribute !== undefined) signatures.push(`${name}()`);
      if (signatures.length > 0) throw wrongArguments(name, values, signatures);
      const known = [
        ...table.operations.map((each) => each.name),
        ...table.attributes.map(getterOf),
      ];
      throw unknownName("operation", resource, name, known);
    },
    read: (name) => {
      const attribute = table.attributes.find((each) => each.name === capitalized(name));
      if (attribute !== undefined) return readAttribute(attribute);
      const known = table.attributes.map((each) => each.name);
      throw unknownName("attribute", resource, name, known);
    },
  };
}

/** The operation that reads an attribute, as in Artemis: `isPaused`, `getMessageCount`. */
export function getterOf(attribute: Attribute<never>): string {
  return `${attribute.result === "boolean" ? "is" : "get"}${attribute.name}`;
}

function capitalized(name: string): string {
  return name.slice(0, 1).toUpperCase() + name.slice(1);
}

function wrongArguments(
  name: string,
  values: readonly ManagementValue[],
  signatures: readonly string[],
): EverholdError {
  const found = values.map(typeName).join(", ");
  return new EverholdError(
    "EVH_REJECTED",
    `cannot call ${name}(${found}): expected ${signatures.join(" or ")}`,
  );
}

function unknownName(
  what: string,
  resource: string,
  name: string,
  known: readonly string[],
): EverholdError {
  const all = [...new Set(known)].sort().join(", ");
  return new EverholdError(
    "EVH_UNSUPPORTED",
    `"${resource}" has no ${what} "${name}": it has ${all === "" ? "none" : all}`,
  );
}

function typeName(value: ManagementValue): string {
  if (value === null) return "null";
  if (typeof value === "number") return Number.isSafeInteger(value) ? "integer" : "number";
  if (typeof value !== "object") return typeof value;
  return Array.isArray(value) ? "array" : "map";
}
