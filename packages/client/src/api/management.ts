import { EverholdError, RejectedError } from "@everhold/base";
import type { WaitOptions } from "@everhold/env";
import { propertyNames } from "@everhold/wire";
import type { Message } from "../receive/message.ts";
import type { Requests } from "./requests.ts";

const managementAddress = "activemq.management";

/**
 * Asks the broker about itself and tells it what to do, by the management messages that Everhold and
 * Artemis both answer. The names of resources, operations and attributes are in docs/MANAGEMENT.md.
 *
 * An operation leaves at most once: when the session ends with its connection before the answer comes, it fails with
 * EVH_UNBLOCKED and outcome `unknown`. An attribute is asked for again.
 *
 * @example
 * await connection.management.invoke("queue.orders", "pause");
 * await connection.management.attribute("queue.orders", "MessageCount"); // 12
 */
export class Management {
  readonly #requests: Requests;

  /** Use `connection.management`. */
  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /**
   * Runs an operation of a resource (`broker`, `queue.NAME`, `address.NAME`) and gives its result, as
   * JSON would: text, number, boolean, list, object or `null`.
   *
   * @throws RejectedError EVH_REJECTED with the broker's reason
   * @throws TimeoutError EVH_TIMEOUT, with outcome `unknown`; default time limit: the call timeout
   */
  async invoke(
    resource: string,
    operation: string,
    args: readonly unknown[] = [],
    wait: WaitOptions = {},
  ): Promise<unknown> {
    const what = `run ${operation} of ${resource}`;
    return this.#ask(
      what,
      resource,
      { [propertyNames.managementOperation]: operation },
      args,
      wait,
    );
  }

  /** Reads an attribute of a resource. @throws RejectedError EVH_REJECTED when there is none of this name */
  async attribute(resource: string, name: string, wait: WaitOptions = {}): Promise<unknown> {
    const what = `read ${name} of ${resource}`;
    const asked = { [propertyNames.managementAttribute]: name };
    return this.#untilAnswered(wait, (left) => this.#ask(what, resource, asked, [], left));
  }

  /** The names of all queues. */
  async queueNames(wait: WaitOptions = {}): Promise<readonly string[]> {
    const names = await this.#untilAnswered(wait, (left) =>
      this.invoke("broker", "getQueueNames", [], left),
    );
    return Array.isArray(names) ? names.map(String) : [];
  }

  /** Asks again when the answer went with the connection: only for what changes nothing. */
  async #untilAnswered(
    wait: WaitOptions,
    ask: (left: WaitOptions) => Promise<unknown>,
  ): Promise<unknown> {
    const left = this.#requests.budget(wait);
    for (;;) {
      try {
        return await ask(left());
      } catch (error) {
        if (!EverholdError.is(error, "EVH_UNBLOCKED")) throw error;
      }
    }
  }

  async #ask(
    what: string,
    resource: string,
    asked: Readonly<Record<string, string>>,
    args: readonly unknown[],
    wait: WaitOptions,
  ): Promise<unknown> {
    const reply = await this.#requests.request(managementAddress, JSON.stringify(args), {
      ...wait,
      // One that were repeated after a break would be done twice.
      durable: false,
      isAnsweredAtOnce: true,
      properties: { ...asked, [propertyNames.managementResource]: resource },
    });
    const result = readResult(what, reply);
    if (reply.properties[propertyNames.managementSucceeded] === true) return result;
    throw new RejectedError("EVH_REJECTED", `Cannot ${what}: ${String(result)}`);
  }
}

/** The one element of the list that a reply holds. */
function readResult(what: string, reply: Message): unknown {
  const text = reply.text();
  const list: unknown = text === "" ? [null] : parse(text);
  if (Array.isArray(list) && list.length === 1) return list[0];
  throw new EverholdError(
    "EVH_MESSAGE_FORMAT",
    `Cannot ${what}: the broker's reply is not a JSON list of one element: ${text.slice(0, 100)}`,
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
