import { EverholdError } from "@everhold/base";
import type { Timer } from "@everhold/env";

import { limits } from "../limits.ts";
import type { ReturningSession } from "../state/returning-sessions.ts";
import { stateLimits } from "../state/state-limits.ts";
import type { Consumer } from "./consumer.ts";
import type { Engine } from "./engine.ts";
import type { HeldDeliveries } from "./held-deliveries.ts";
import type { LiveQueue } from "./live-queue.ts";
import type { Session } from "./session.ts";

/**
 * Sessions whose clients come back for what they left: those that live, by name, and those of before a restart.
 *
 * The journal knows which queues such a session consumed from. After a restart these queues hand out nothing until
 * all of their sessions have resumed, or the grace is over: what a client has acknowledged, and the broker has not
 * heard, is settled before anybody else gets it. A session that has not come by then is forgotten; when it comes
 * it may still settle what nobody has taken.
 */
export class Returns {
  readonly #engine: Engine;
  readonly #living = new Map<string, Session>();
  /** Those of before the restart that have not come yet, and what waits for them. */
  readonly #awaited = new Map<string, LiveQueue[]>();
  readonly #holding = new Set<HeldDeliveries>();
  #timer: Timer | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Sessions of before the restart that are waited for. */
  get awaitedCount(): number {
    return this.#awaited.size;
  }

  /** Holds the queues of the sessions that the journal knows. To be called once, when the queues are there. */
  load(): void {
    const { catalog, state } = this.#engine;
    for (const [name, { queueIds }] of state.sessions) {
      const queues: LiveQueue[] = [];
      for (const id of queueIds) {
        const queueName = state.queueById(id)?.definition.name;
        const queue = queueName === undefined ? undefined : catalog.findQueue(queueName);
        if (queue === undefined) continue;
        queue.awaitedCount += 1;
        queues.push(queue);
      }
      this.#awaited.set(name, queues);
    }
  }

  /** Clients may come from now on: the grace begins. */
  open(): void {
    if (this.#awaited.size === 0) return;
    this.#timer = this.#engine.after(limits.resumeGraceMs, () => {
      this.#timer = undefined;
      const missing = [...this.#awaited.keys()];
      if (missing.length > 0) {
        this.#engine.log.info("Sessions of before the restart have not come back in time", {
          sessions: missing.length,
          graceMs: limits.resumeGraceMs,
        });
      }
      for (const name of missing) this.returned(name);
    });
  }

  /** Nothing happens by itself any more: the broker stops. */
  stop(): void {
    this.#timer?.cancel();
    for (const held of this.#holding) held.stop();
  }

  /** Something is held, and has a timer; or no more. */
  setHolding(held: HeldDeliveries, isHolding: boolean): void {
    if (isHolding) this.#holding.add(held);
    else this.#holding.delete(held);
  }

  /** Whether the session of this name is waited for: since the restart nobody has got what it held. */
  isAwaited(name: string): boolean {
    return this.#awaited.has(name);
  }

  /** The living session of a name, other than the one that asks. */
  find(name: string, asking: Session): Session | undefined {
    let found = this.#living.get(name);
    while (found === asking) found = found.namesake;
    return found;
  }

  /** @throws EverholdError EVH_SECURITY when the session of that name belongs to another user */
  checkUser(session: Session, name: string): void {
    const living = this.find(name, session);
    const recorded = this.#engine.state.sessions.get(name);
    const isOthers = living !== undefined && living.user !== session.user;
    const wasOthers = recorded !== undefined && recorded.user !== (session.user ?? "");
    if (!isOthers && !wasOthers) return;
    throw new EverholdError(
      "EVH_SECURITY",
      `cannot resume the session "${name}": it belongs to another user`,
    );
  }

  /** The session's client would come back to it. */
  announce(session: Session): void {
    if (session.isReturning) return;
    session.isReturning = true;
    session.namesake = this.#living.get(session.name);
    this.#living.set(session.name, session);
  }

  /** The session has a consumer more: after a restart its queue waits for the session. */
  consumerAdded(session: Session, consumer: Consumer): void {
    const { queue } = consumer;
    // Its client has had all answers about the session before: from here on it asks for what this one holds.
    session.past = "own";
    if (!session.isReturning || !queue.state.isStored) return;
    if (consumer.isBrowser || consumer.readsOnly) return;
    const { sessions } = this.#engine.state;
    const known = session.isRecorded ? sessions.get(session.name) : undefined;
    const queueIds = known?.queueIds ?? [];
    if (queueIds.includes(queue.state.id) || queueIds.length >= stateLimits.returningQueuesMax)
      return;
    if (known === undefined && sessions.size >= limits.returningSessionsMax) return;
    session.isRecorded = true;
    this.#record(session.name, {
      user: session.user ?? "",
      queueIds: [...queueIds, queue.state.id],
    });
  }

  /**
   * The session goes on for the one of this name: from here on the queues wait for it, whenever the broker dies.
   * Before the older one is forgotten.
   */
  takeOver(session: Session, name: string): void {
    const { sessions } = this.#engine.state;
    const known = sessions.get(name);
    if (known === undefined) return;
    const own = session.isRecorded ? (sessions.get(session.name)?.queueIds ?? []) : [];
    session.isRecorded = true;
    if (name === session.name) return;
    const queueIds = [...new Set([...own, ...known.queueIds])];
    queueIds.length = Math.min(queueIds.length, stateLimits.returningQueuesMax);
    this.#record(session.name, { user: known.user, queueIds });
  }

  /** The session has ended: nobody comes back to it, unless the broker ends as well. */
  sessionClosed(session: Session): void {
    if (!session.isReturning) return;
    const isNewest = this.#living.get(session.name) === session;
    if (!isNewest) this.#unlink(session);
    else if (session.namesake === undefined) this.#living.delete(session.name);
    else this.#living.set(session.name, session.namesake);
    if (isNewest && session.isRecorded && !this.#engine.isHalted) this.#forget(session.name);
  }

  /** The session of this name has been resumed, or is not waited for any more. */
  returned(name: string): void {
    for (const queue of this.#awaited.get(name) ?? []) {
      queue.awaitedCount -= 1;
      this.#engine.touch(queue);
    }
    this.#awaited.delete(name);
    if (this.#living.get(name)?.isRecorded !== true) this.#forget(name);
    if (this.#awaited.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #unlink(session: Session): void {
    let one = this.#living.get(session.name);
    while (one !== undefined && one.namesake !== session) one = one.namesake;
    if (one !== undefined) one.namesake = session.namesake;
  }

  #record(name: string, session: ReturningSession): void {
    this.#engine.state.setSession(name, session);
  }

  #forget(name: string): void {
    const { state } = this.#engine;
    if (state.sessions.has(name)) state.setSession(name, null);
  }
}
