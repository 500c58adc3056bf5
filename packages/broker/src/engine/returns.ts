import { EverholdError } from "@everhold/base";
import type { Timer } from "@everhold/env";

import { limits } from "../limits.ts";
import type { ReturningSession } from "../state/returning-sessions.ts";
import { movedIdBase } from "../state/row-key.ts";
import { stateLimits } from "../state/state-limits.ts";
import type { Consumer } from "./consumer.ts";
import type { Engine } from "./engine.ts";
import type { HeldDeliveries } from "./held-deliveries.ts";
import type { LiveQueue } from "./live-queue.ts";
import type { Session } from "./session.ts";

/** A session of before a restart that has not come yet. */
interface Absent {
  readonly user: string;
  /** Those it consumed from. */
  readonly queues: readonly LiveQueue[];
}

/**
 * Sessions whose clients come back for what they left: those that live, by name, and those of before a restart.
 *
 * The journal knows which queues such a session consumed from. After a restart these queues hand out nothing until
 * all of their sessions have resumed, or the grace is over: what a client has acknowledged, and the broker has not
 * heard, is settled before anybody else gets it. A session that has not come by then is late: its queues hand out
 * again, and it is noted which of the messages that it may have held others get. When it comes it can still be told of
 * each of the rest what became of it, and may settle what nobody has taken.
 *
 *     awaited ──grace over──▶ late ──others got too much──▶ forgotten
 *        └──────resumed──────────┴──▶ returned
 */
export class Returns {
  readonly #engine: Engine;
  readonly #living = new Map<string, Session>();
  /** Their queues wait for them. */
  readonly #awaited = new Map<string, Absent>();
  /** Their queues wait no more. Oldest first. */
  readonly #late = new Map<string, Absent>();
  /** Message ids that queues have noted, all together. */
  #notedCount = 0;
  /** Ids of messages that came after the restart. */
  #newFrom = 0;
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
    const { catalog, journal, state } = this.#engine;
    this.#newFrom = journal.endPosition;
    for (const [name, { queueIds, user }] of state.sessions) {
      const queues: LiveQueue[] = [];
      for (const id of queueIds) {
        const queueName = state.queueById(id)?.definition.name;
        const queue = queueName === undefined ? undefined : catalog.findQueue(queueName);
        if (queue === undefined) continue;
        queue.awaitedCount += 1;
        queues.push(queue);
      }
      this.#awaited.set(name, { user, queues });
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
      for (const name of missing) this.#awaitNoMore(name);
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

  /** Whether it is known that since the restart nobody has got what the session of this name held. */
  isIntact(name: string): boolean {
    const late = this.#late.get(name);
    if (late === undefined) return this.#awaited.has(name);
    return late.queues.every((queue) => (queue.handedOutSince?.size ?? 0) === 0);
  }

  /** Whether it is known that since the restart nobody else has got this message, if the session of this name held it. */
  knows(name: string, queue: LiveQueue, messageId: number): boolean {
    if (this.#awaited.has(name)) return true;
    const isIts = this.#late.get(name)?.queues.includes(queue) === true;
    return isIts && queue.handedOutSince?.has(messageId) === false;
  }

  /** Somebody gets a message of a queue, or settles it, that a late session may have held. */
  noteHandedOut(queue: LiveQueue, messageId: number): void {
    const noted = queue.handedOutSince;
    const isNew = messageId >= this.#newFrom && messageId < movedIdBase;
    if (noted === undefined || isNew || noted.has(messageId)) return;
    if (this.#notedCount >= limits.lateMessageIdsMax) {
      for (const name of [...this.#late.keys()]) this.returned(name);
      return;
    }
    // The next restart would not know of it.
    if (noted.size === 0) {
      for (const [name, { queues }] of this.#late)
        if (queues.includes(queue)) this.#forgetIfGone(name);
    }
    noted.add(messageId);
    this.#notedCount += 1;
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
    const user = recorded?.user ?? this.#late.get(name)?.user;
    const wasOthers = user !== undefined && user !== (session.user ?? "");
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
    if (known === undefined && sessions.size >= limits.returningSessionsMax) {
      const [late] = this.#late.keys();
      if (late === undefined) return;
      this.returned(late);
    }
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

  /** The session of this name has been resumed, or is forgotten. */
  returned(name: string): void {
    const late = this.#late.get(name);
    this.#late.delete(name);
    for (const queue of late?.queues ?? []) {
      queue.lateCount -= 1;
      if (queue.lateCount > 0) continue;
      this.#notedCount -= queue.handedOutSince?.size ?? 0;
      queue.handedOutSince = undefined;
    }
    this.#forgetIfGone(name);
    this.#release(name);
  }

  /** Its queues go on without the session of this name, and note what they hand out. */
  #awaitNoMore(name: string): void {
    const absent = this.#awaited.get(name);
    if (absent !== undefined && absent.queues.length > 0) {
      this.#late.set(name, absent);
      for (const queue of absent.queues) {
        queue.lateCount += 1;
        queue.handedOutSince ??= new Set();
      }
    } else this.#forgetIfGone(name);
    this.#release(name);
  }

  /** What waits for the session of this name waits no more. */
  #release(name: string): void {
    for (const queue of this.#awaited.get(name)?.queues ?? []) {
      queue.awaitedCount -= 1;
      this.#engine.touch(queue);
    }
    this.#awaited.delete(name);
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

  #forgetIfGone(name: string): void {
    if (this.#living.get(name)?.isRecorded !== true) this.#forget(name);
  }

  #forget(name: string): void {
    const { state } = this.#engine;
    if (state.sessions.has(name)) state.setSession(name, null);
  }
}
