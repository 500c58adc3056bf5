import { assert } from "@everhold/base";
import { DuplicateIds } from "./duplicate-ids.ts";
import type { RoutingType } from "./queue-definition.ts";
import type { QueueState } from "./queue-state.ts";

/** What an address was created with. */
export interface AddressDefinition {
  readonly name: string;
  /** One or both, in the order in which they were said. */
  readonly routingTypes: readonly RoutingType[];
  readonly autoCreated: boolean;
}

/** Ids from here on belong to addresses and queues that began in memory only. */
export const volatileIdBase = 0x8000_0000;

/** One address: its definition, its queues, and the duplicate ids that it remembers. */
export class AddressState {
  readonly id: number;
  readonly #queues: QueueState[] = [];
  readonly duplicates = new DuplicateIds();
  #definition: AddressDefinition;
  #isStored: boolean;
  #messageCount = 0;
  #bytes = 0;

  constructor(id: number, definition: AddressDefinition, isStored: boolean) {
    this.id = id;
    this.#definition = definition;
    this.#isStored = isStored;
  }

  /** Whether the journal knows it. One that is not vanishes at a restart. */
  get isStored(): boolean {
    return this.#isStored;
  }

  get definition(): AddressDefinition {
    return this.#definition;
  }

  get name(): string {
    return this.#definition.name;
  }

  get routingTypes(): readonly RoutingType[] {
    return this.#definition.routingTypes;
  }

  get autoCreated(): boolean {
    return this.#definition.autoCreated;
  }

  /** Its queues in the order of their creation. The same array for as long as the address lives. */
  get queues(): readonly QueueState[] {
    return this.#queues;
  }

  /** Messages in all its queues; one in several queues counts in each. */
  get messageCount(): number {
    return this.#messageCount;
  }

  /** Bytes of these messages. */
  get bytes(): number {
    return this.#bytes;
  }

  supports(routingType: RoutingType): boolean {
    return this.#definition.routingTypes.includes(routingType);
  }

  /** Replaces the definition. For `BrokerState`, as is what follows. */
  define(definition: AddressDefinition): void {
    this.#definition = definition;
  }

  store(): void {
    this.#isStored = true;
  }

  attach(queue: QueueState): void {
    this.#queues.push(queue);
    queue.join(this);
    this.count(queue.messageCount, queue.bytes);
  }

  detach(queue: QueueState): void {
    const index = this.#queues.indexOf(queue);
    assert(index >= 0, "a queue leaves the address that it joined");
    this.#queues.splice(index, 1);
    this.count(-queue.messageCount, -queue.bytes);
  }

  count(messages: number, bytes: number): void {
    this.#messageCount += messages;
    this.#bytes += bytes;
  }

  /** Checks what must hold between calls. */
  assertInvariants(): void {
    let messages = 0;
    let bytes = 0;
    for (const queue of this.#queues) {
      assert(queue.address === this, "a queue knows its address");
      messages += queue.messageCount;
      bytes += queue.bytes;
    }
    assert(messages === this.#messageCount, "messages of an address are counted");
    assert(bytes === this.#bytes, "bytes of an address are counted");
    this.duplicates.assertInvariants();
  }
}
