import { EverholdError } from "@everhold/base";

import { limits } from "../limits.ts";
import type { MessagePlan } from "../state/message-plan.ts";
import type { RouteTarget } from "./address-cache.ts";
import { unrouted } from "./departures.ts";
import type { Divert } from "./diverts.ts";
import type { Engine } from "./engine.ts";
import { lastValueIn } from "./last-value-reader.ts";
import type { LiveAddress, LiveQueue } from "./live-queue.ts";
import type { Provenance } from "./provenance.ts";
import { divertedType, routingTypeOf } from "./routing-code.ts";

/**
 * Finds the queues that take a message, along diverts and wildcard addresses, and names them in its plan.
 * One finder serves all messages, one after the other.
 */
export class TargetFinder {
  readonly #engine: Engine;
  readonly #plan: MessagePlan;
  /** The queues found for the message. */
  readonly queues: LiveQueue[] = [];
  /** The full addresses that dropped it. What its own address drops goes nowhere. */
  readonly dropping: LiveAddress[] = [];
  #isDropped = false;
  /** The routing type by which it is routed now; a divert may change it. */
  #type = -1;
  /** The divert by which targets are found now, as rows name it; empty for none. */
  #origin = "";
  /** What filters see of the message behind that divert. */
  #moved: Provenance | undefined;
  /** The diverts that were followed for it. */
  readonly #followed: Divert[] = [];
  /** The queues found so far, once a divert was followed. */
  #reached: Set<LiveQueue> | undefined;

  constructor(engine: Engine, plan: MessagePlan) {
    this.#engine = engine;
    this.#plan = plan;
  }

  /** Starts anew, for another message. */
  begin(): void {
    this.queues.length = 0;
    this.dropping.length = 0;
    this.#isDropped = false;
    this.#followed.length = 0;
    this.#reached = undefined;
    this.#origin = "";
    this.#moved = undefined;
  }

  /**
   * Finds the queues that take a message for `target`. `routingType`: as in {@link routingTypeOf}.
   * @throws EverholdError EVH_REJECTED when too many diverts lead it on; where these lead, as `Catalog.resolve`
   * and EVH_ADDRESS_FULL
   */
  find(
    target: RouteTarget,
    routingType: number,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): void {
    this.#type = routingType;
    this.#isDropped = this.#drops(target.address);
    const { diverts } = this.#engine;
    if (diverts.count === 0 || target.address.divertsOf(diverts).length === 0) {
      this.#routeUndiverted(target, bytes, view, start, end);
      return;
    }
    this.#routeDiverted(target, bytes, view, start, end);
  }

  /**
   * No queue takes the message: it goes to the dead letters. False where they take it neither.
   * @throws EverholdError EVH_QUEUE_DOES_NOT_EXIST when they have no queue and none can be made
   */
  findDeadLetters(
    address: LiveAddress,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): boolean {
    const message = { bytes, view, offset: start, length: end - start };
    const found = this.#engine.redelivery.sinks.find(address, "", unrouted, message);
    if (found === "refused") {
      const deadLetters = address.settings.deadLetterAddress ?? "";
      throw new EverholdError(
        "EVH_QUEUE_DOES_NOT_EXIST",
        `cannot send to "${address.name}": no queue takes the message, and "${deadLetters}", where it would go then, has none and cannot get one`,
      );
    }
    if (typeof found === "string") return false;
    // It never was where a divert would have led it.
    this.#origin = "";
    this.#moved = undefined;
    for (const queue of found) this.add(queue);
    return true;
  }

  /** Adds one queue, unless the message came to it before or it takes none. */
  add(queue: LiveQueue): void {
    if (queue.keepsNothing || this.#isDropped) return;
    if (this.#reached !== undefined) {
      // Several ways may lead to one queue: it gets the message once.
      if (this.#reached.has(queue)) return;
      this.#reached.add(queue);
      this.#plan.divert(this.#origin);
    }
    this.queues.push(queue);
    const { lastValueKey } = queue.traits;
    if (lastValueKey === undefined) this.#plan.addTarget(queue.state);
    else this.#addLastValue(queue, lastValueKey);
  }

  /**
   * Routes to an address that has diverts. Exclusive ones come first; where one takes the message, nobody else gets
   * it. What is sent to a queue by its full name, only these take. Source: Artemis, `BindingsImpl.route`.
   */
  #routeDiverted(
    target: RouteTarget,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): void {
    const diverts = target.address.divertsOf(this.#engine.diverts);
    const takes = (divert: Divert): boolean =>
      !this.#followed.includes(divert) &&
      divert.selector?.matches(bytes, view, start, end, this.#moved) !== false;
    let isTaken = false;
    for (const divert of diverts) {
      if (!divert.definition.exclusive) break;
      if (!takes(divert)) continue;
      isTaken = true;
      this.#follow(divert, bytes, view, start, end);
    }
    if (isTaken) return;
    this.#routeUndiverted(target, bytes, view, start, end);
    if (target.queue !== undefined) return;
    for (const divert of diverts) {
      if (divert.definition.exclusive || !takes(divert)) continue;
      this.#follow(divert, bytes, view, start, end);
    }
  }

  /** As a send to each address that a divert forwards to, but for the duplicate id, which was judged. */
  #follow(divert: Divert, bytes: Uint8Array, view: DataView, start: number, end: number): void {
    if (this.#followed.length >= limits.divertsFollowedMax) {
      throw new EverholdError(
        "EVH_REJECTED",
        `cannot send: ${limits.divertsFollowedMax} diverts lead the message on, which is the limit`,
      );
    }
    this.#followed.push(divert);
    this.#reached ??= new Set(this.queues);
    const { catalog, credits } = this.#engine;
    const type = this.#type;
    const origin = this.#origin;
    const moved = this.#moved;
    for (const forward of divert.targets) {
      this.#type = divertedType(divert.routing, type);
      const target = catalog.resolve(forward.address, routingTypeOf(this.#type));
      credits.checkRoom(target.address);
      if (this.#drops(target.address)) continue;
      this.#origin = forward.origin;
      this.#moved = forward.provenance;
      this.#routeDiverted(target, bytes, view, start, end);
    }
    this.#type = type;
    this.#origin = origin;
    this.#moved = moved;
  }

  /** Adds the queues of a target and of the wildcard addresses that stand for it. */
  #routeUndiverted(
    target: RouteTarget,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): void {
    if (target.queue !== undefined) {
      // What a subscription filters out does not come in by its full name either.
      const isWanted =
        target.queue.selector?.matches(bytes, view, start, end, this.#moved) !== false;
      if (isWanted) this.add(target.queue);
      return;
    }
    const { address } = target;
    this.#routeTo(address, bytes, view, start, end);
    const { wildcards } = this.#engine.catalog;
    if (wildcards.count === 0) return;
    for (const wild of address.wildcardsOf(wildcards)) {
      if (!this.#drops(wild)) this.#routeTo(wild, bytes, view, start, end);
    }
  }

  /** Whether an address is full, and drops the message. */
  #drops(address: LiveAddress): boolean {
    if (!this.#engine.credits.drops(address)) return false;
    this.dropping.push(address);
    return true;
  }

  /** Adds the queues of one address that take the message. */
  #routeTo(
    address: LiveAddress,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): void {
    const type = this.#type;
    if (type !== 0 && address.anycast.length > 0) {
      const queue = this.#chooseAnycast(address, bytes, view, start, end);
      if (queue !== undefined) this.add(queue);
    }
    if (type === 1 || address.multicast.length === 0) return;
    if (address.subscriptions !== undefined) {
      const { subscriptions } = address;
      for (const queue of subscriptions.select(bytes, view, start, end, this.#moved)) {
        this.add(queue);
      }
      return;
    }
    for (const queue of address.multicast) {
      const { selector } = queue;
      if (selector === undefined || selector.matches(bytes, view, start, end, this.#moved)) {
        this.add(queue);
      }
    }
  }

  /** Round robin over the queues that take the message, those with consumers before the others. */
  #chooseAnycast(
    address: LiveAddress,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): LiveQueue | undefined {
    const queues = address.anycast;
    const count = queues.length;
    let chosen = -1;
    for (let step = 0; step < count; step += 1) {
      const index = (address.rotation + step) % count;
      const queue = queues[index];
      if (queue === undefined) continue;
      if (queue.selector?.matches(bytes, view, start, end, this.#moved) === false) continue;
      const isConsumed = queue.takerCount > 0;
      if (isConsumed || chosen < 0) chosen = index;
      if (isConsumed || count === 1) break;
    }
    if (chosen < 0) return undefined;
    address.rotation = (chosen + 1) % count;
    return queues[chosen];
  }

  #addLastValue(queue: LiveQueue, property: string): void {
    const { bytes, view, start, end } = this.#plan;
    this.#plan.addTarget(queue.state, lastValueIn(bytes, view, start, end, property));
  }
}
