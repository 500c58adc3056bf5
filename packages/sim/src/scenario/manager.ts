import { EverholdError } from "@everhold/base";
import type { FaultKind } from "../world/faults.ts";
import type { World } from "../world/world.ts";
import type { BrokerProcess } from "./broker-process.ts";

/** The queue whose messages are moved to and fro; several consumers compete for it, so order is no promise. */
export const managedQueue = "jobs";
/** Where they are for a while. */
const sideQueue = "side";
/** Queues that nobody uses are made, changed and deleted. */
const idleQueueCount = 4;

type Values = Parameters<NonNullable<BrokerProcess["broker"]>["management"]["invoke"]>[2];

/** Somebody who manages the broker while everything else goes on, and puts it in order at the end. */
export class Manager {
  readonly #world: World;
  readonly #broker: BrokerProcess;

  constructor(world: World, broker: BrokerProcess) {
    this.#world = world;
    this.#broker = broker;
  }

  /** What is done at random times. */
  get kinds(): FaultKind[] {
    return [
      {
        name: "queue paused or resumed",
        meanMs: 2_000,
        strike: (prng) => this.#call(`queue.${managedQueue}`, prng.pick(["pause", "resume"])),
      },
      { name: "messages moved away", meanMs: 700, strike: () => this.#moveAway() },
      { name: "messages moved back", meanMs: 700, strike: () => this.#moveBack() },
      {
        name: "messages given back",
        meanMs: 1_500,
        strike: () => this.#call(`queue.${sideQueue}`, "retryMessages"),
      },
      {
        name: "queue changed",
        meanMs: 2_000,
        strike: (prng) =>
          this.#call("broker", "updateQueue", [managedQueue, null, prng.integer(4, 9), null]),
      },
      {
        name: "idle queue managed",
        meanMs: 100,
        strike: (prng) => {
          const name = `idle-${prng.integer(1, idleQueueCount)}`;
          switch (prng.integer(0, 5)) {
            case 0:
              return this.#call("broker", "createQueue", [name, name, "ANYCAST"]);
            case 1:
              return this.#call("broker", "updateQueue", [name, null, prng.integer(1, 9), null]);
            case 2:
              return this.#call("broker", "destroyQueue", [name]);
            case 3:
              return this.#call(`queue.${name}`, "removeAllMessages");
            default:
              return this.#call(`queue.${name}`, "sendMessage", [{}, 3, "x", true, null, null]);
          }
        },
      },
    ];
  }

  /** Puts everything back that the others wait for. Called until they have it. */
  tidy(): void {
    const { broker } = this.#broker;
    if (broker === undefined) return;
    this.#call(`queue.${managedQueue}`, "resume");
    for (const { name, messageCount } of broker.queues()) {
      if (messageCount === 0) continue;
      if (name === sideQueue) this.#moveBack();
      if (name.startsWith("idle-")) this.#call(`queue.${name}`, "removeAllMessages");
    }
  }

  #moveAway(): boolean {
    if (this.#broker.broker?.queues().some(({ name }) => name === sideQueue) !== true) {
      this.#call("broker", "createQueue", [sideQueue, sideQueue, "ANYCAST"]);
    }
    return this.#call(`queue.${managedQueue}`, "moveMessages", [null, sideQueue]);
  }

  #moveBack(): boolean {
    return this.#call(`queue.${sideQueue}`, "moveMessages", [null, managedQueue]);
  }

  /** Whether it was begun. What cannot be done is refused with an error of ours, and changes nothing. */
  #call(resource: string, operation: string, values: Values = []): boolean {
    const { broker } = this.#broker;
    if (broker === undefined) return false;
    try {
      const { value } = broker.management.invoke(resource, operation, values);
      Promise.resolve(value).catch((error: unknown) => {
        this.#refused(error);
      });
    } catch (error) {
      this.#refused(error);
      return false;
    }
    this.#world.note("manager", operation, resource);
    return true;
  }

  #refused(error: unknown): void {
    if (!EverholdError.is(error)) this.#world.fail("manager", error);
  }
}
