import { EverholdError } from "@everhold/base";
import type { LogFields } from "@everhold/env";
import type { RecordView } from "@everhold/journal";

import { limits } from "../limits.ts";
import type { AddressSettings } from "../settings/setting-table.ts";
import type { Departure } from "./departures.ts";
import type { Engine } from "./engine.ts";
import type { LiveAddress, LiveQueue } from "./live-queue.ts";
import { createSinkQueue } from "./sink-queues.ts";

/** A message that is to leave: where it lies, and how long it is. */
export interface LeavingMessage extends RecordView {
  readonly length: number;
}

/**
 * Where a message goes that leaves its queue: to these queues; nowhere, so that it is dropped; nobody can
 * tell before it is read; or the queue that it needs could not be made.
 */
export type SinkVerdict = readonly LiveQueue[] | "nowhere" | "unread" | "refused";

/** What the settings of an address say of one way to leave it. */
interface SinkRule {
  readonly address: string | undefined;
  /** Whether each address has a queue of its own there, and what the names of such queues are made of. */
  readonly isPerAddress: boolean;
  readonly prefix: string;
  readonly suffix: string;
}

/** Filters as we, and Artemis, make them for the queue of one address. */
const originFilter = /^_AMQ_ORIG_ADDRESS = '((?:[^']|'')*)'$/;

/**
 * Finds the queues that dead letters and expired messages go to, and makes them where they are missing.
 *
 * All multicast queues of the sink that take the message get it; where none does, one anycast queue; where
 * there is none, one is made that is named after the sink. So a message is dropped only where the settings
 * name no sink, or it lies in the sink already. Artemis drops it also where the sink has no queue that takes it.
 */
export class Sinks {
  readonly #engine: Engine;
  readonly #warned = new Set<string>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /**
   * Where a message of the queue `queueName` of `address` goes; no queue for one that never came into any.
   * Without `message`, filters that have to read it are not asked.
   */
  find(
    address: LiveAddress,
    queueName: string,
    departure: Departure,
    message: LeavingMessage | undefined,
  ): SinkVerdict {
    const rule = ruleOf(address.settings, departure);
    // What lies in such a place already would only move in a circle.
    if (rule.address === undefined || rule.address === address.name) return "nowhere";
    const { catalog } = this.#engine;
    const own = rule.isPerAddress ? this.#ownQueue(address.name, rule.address, rule) : undefined;
    const found: LiveQueue[] = own === undefined ? [] : [own];
    const sink = catalog.findAddress(rule.address);
    const takes = (queue: LiveQueue): boolean | "unread" =>
      takesMessage(queue, address.name, queueName, departure.cause, message);
    for (const queue of sink?.multicast ?? []) {
      const isTaken = queue === own ? false : takes(queue);
      if (isTaken === "unread") return isTaken;
      if (isTaken) found.push(queue);
    }
    if (found.length > 0) return found;
    for (const queue of sink?.anycast ?? []) {
      const isTaken = takes(queue);
      if (isTaken === "unread") return isTaken;
      if (isTaken) return [queue];
    }
    const made = this.#make(() => createSinkQueue(catalog, rule.address ?? ""), rule.address);
    return made === undefined ? "refused" : [made];
  }

  /** The queue at the sink that is for one address only. */
  #ownQueue(addressName: string, sinkName: string, rule: SinkRule): LiveQueue | undefined {
    const { catalog } = this.#engine;
    const name = rule.prefix + addressName + rule.suffix;
    const found = catalog.findQueue(name);
    if (found === undefined) {
      const filter = `_AMQ_ORIG_ADDRESS = '${addressName.replaceAll("'", "''")}'`;
      return this.#make(() => createSinkQueue(catalog, sinkName, { name, filter }), sinkName);
    }
    if (found.address.name === sinkName) return found;
    this.#warn("A queue for dead letters has the name of another one", {
      queue: name,
      address: sinkName,
      found: found.address.name,
    });
    return undefined;
  }

  #make(make: () => LiveQueue, sinkName: string): LiveQueue | undefined {
    try {
      return make();
    } catch (error) {
      if (!EverholdError.is(error)) throw error;
      this.#warn("A queue for dead letters could not be made", {
        address: sinkName,
        code: error.code,
        reason: error.message,
      });
      return undefined;
    }
  }

  /** One line for each reason, not for each message. */
  #warn(message: string, fields: LogFields): void {
    const line = JSON.stringify([message, fields]);
    if (this.#warned.has(line)) return;
    if (this.#warned.size >= limits.sinkWarningsKept) this.#warned.clear();
    this.#warned.add(line);
    this.#engine.log.warn(message, fields);
  }
}

function ruleOf(settings: AddressSettings, { reason }: Departure): SinkRule {
  return reason === "expired"
    ? {
        address: settings.expiryAddress,
        isPerAddress: settings.autoCreateExpiryResources,
        prefix: settings.expiryQueuePrefix,
        suffix: settings.expiryQueueSuffix,
      }
    : {
        address: settings.deadLetterAddress,
        isPerAddress: settings.autoCreateDeadLetterResources,
        prefix: settings.deadLetterQueuePrefix,
        suffix: settings.deadLetterQueueSuffix,
      };
}

function takesMessage(
  queue: LiveQueue,
  addressName: string,
  originQueue: string,
  cause: string,
  message: LeavingMessage | undefined,
): boolean | "unread" {
  if (queue.keepsNothing) return false;
  const { selector } = queue;
  if (selector === undefined) return true;
  const origin = originFilter.exec(selector.text)?.[1];
  if (origin !== undefined) return origin.replaceAll("''", "'") === addressName;
  if (message === undefined) return "unread";
  const { bytes, view, offset, length } = message;
  // No selector asks for the id that it is going to have.
  const moved = {
    addressName: queue.address.name,
    messageId: 0,
    originQueue,
    cause,
    isFinal: true,
  };
  return selector.matches(bytes, view, offset, offset + length, moved);
}
