import { Prng } from "@everhold/base";

import type { PacketProgram } from "./packet-comparison.ts";
import type { PacketScript, SessionScript } from "./packet-script.ts";

/** A queue of a random program. */
interface Queue {
  readonly name: string;
  readonly address: string;
  readonly routingType: 0 | 1;
}

/** A consumer of a random program. */
interface Taker {
  readonly actor: Actor;
  readonly id: number;
  readonly queue: Queue;
  readonly isBrowser: boolean;
  /** More credit after credit without a limit is an error in Artemis, which shows at the next COMMIT. */
  isUnlimited: boolean;
}

/** A session of a random program, and what the program knows of it. */
interface Actor {
  session: SessionScript;
  readonly isTransacted: boolean;
  /** Artemis keeps such a session for a while when its connection breaks. */
  readonly hasWindow: boolean;
  /** Duplicate ids that only this session uses, and those that its open transaction used. */
  readonly ids: readonly [string, ...string[]];
  readonly usedIds: Set<string>;
  /** Its transaction holds messages: Artemis has found their queues already, Everhold does at COMMIT. */
  hasSent: boolean;
}

const filters = [
  "n = 1",
  "n <> 1",
  "n IS NULL",
  "AMQPriority > 4",
  "AMQDurable = 'DURABLE'",
] as const;

/**
 * A program of 20 to 60 packets that follows from its seed: sessions, queues and consumers of every kind,
 * sends, credits, settlement, transactions, browsing, and connections that break. It leaves out what is
 * known to differ, and lets a queue have one consumer at a time, because the turns of several are a matter
 * of taste.
 */
export function randomProgram(seed: number): PacketProgram {
  return {
    name: `the program of seed ${seed}`,
    build: (script) => new Author(script, seed).write(),
  };
}

class Author {
  readonly #script: PacketScript;
  readonly #random: Prng;
  readonly #actors: Actor[] = [];
  readonly #queues: Queue[] = [];
  readonly #takers: Taker[] = [];
  /** All messages or none: between the two kinds there is no order. */
  readonly #areDurable: boolean;
  #textCount = 0;
  #consumerCount = 0;

  constructor(script: PacketScript, seed: number) {
    this.#script = script;
    this.#random = new Prng(seed);
    this.#areDurable = this.#random.chance(0.6);
  }

  write(): void {
    const random = this.#random;
    for (let count = random.integer(1, 3); count > 0; count -= 1) this.#addActor();
    for (let count = random.integer(1, 3); count > 0; count -= 1) this.#addQueue();
    const moves: readonly [() => void, ...(() => void)[]] = [
      ...repeated(8, () => this.#publish()),
      ...repeated(3, () => this.#publishSeveral()),
      ...repeated(4, () => this.#consume()),
      ...repeated(3, () => this.#browse()),
      ...repeated(6, () => this.#settle()),
      ...repeated(3, () => this.#credits()),
      ...repeated(3, () => this.#force()),
      ...repeated(3, () => this.#closeConsumer()),
      ...repeated(4, () => this.#endTransaction()),
      ...repeated(2, () => this.#startOrStop()),
      ...repeated(3, () => this.#ask()),
      ...repeated(1, () => this.#breakConnection()),
      ...repeated(1, () => this.#reopenSession()),
      ...repeated(1, () => this.#replaceQueue()),
    ];
    const steps = random.integer(20, 60);
    while (this.#script.steps.length < steps) random.pick(moves)();
    for (const { name } of this.#queues) this.#actor().session.query(name);
  }

  #actor(): Actor {
    return this.#random.pick(atLeastOne(this.#actors));
  }

  #addActor(): void {
    const random = this.#random;
    const isTransacted = random.chance(0.5);
    const hasWindow = random.chance(0.2);
    const number = this.#actors.length;
    this.#actors.push({
      session: this.#script.session({
        autoCommitSends: !isTransacted,
        autoCommitAcks: isTransacted ? false : random.chance(0.7),
        confirmationWindowSize: hasWindow ? 1000 : -1,
      }),
      isTransacted,
      hasWindow,
      ids: [`${number}a`, `${number}b`, `${number}c`],
      usedIds: new Set(),
      hasSent: false,
    });
    this.#actors.at(-1)?.session.start();
  }

  #addQueue(): void {
    const random = this.#random;
    const name = `q${this.#queues.length}`;
    const routingType = random.chance(0.6) ? 1 : 0;
    const address = routingType === 0 ? "topic" : name;
    const queue = { name, address, routingType } as const;
    this.#queues.push(queue);
    this.#create(queue);
  }

  #create({ name, address, routingType }: Queue): void {
    const random = this.#random;
    this.#actor().session.createQueue(name, {
      address,
      routingType,
      durable: random.chance(0.7),
      filter: random.chance(0.2) ? random.pick(filters) : null,
      purgeOnNoConsumers: random.chance(0.2) && !this.#actors.some((one) => one.isTransacted),
      exclusive: random.chance(0.1) ? true : null,
      maxConsumers: random.chance(0.2) ? 1 : -1,
    });
  }

  #publish(actor = this.#actor(), isHurried = false): void {
    const random = this.#random;
    const { session, isTransacted, ids, usedIds } = actor;
    const queue = random.pick(atLeastOne(this.#queues));
    const id = random.pick(ids);
    if (isTransacted) actor.hasSent = true;
    // In Artemis what is sent so comes before the rest of a transaction, or reaches all multicast queues.
    const isByFullName = !isTransacted && queue.routingType === 1 && random.chance(0.15);
    // In Artemis a message with an id may be overtaken, and goes astray under a full name.
    const mayHaveId = !isHurried && !isByFullName && !(isTransacted && usedIds.has(id));
    const hasId = mayHaveId && random.chance(0.2);
    if (hasId) usedIds.add(id);
    this.#textCount += 1;
    session.publish(
      isByFullName ? `${queue.address}::${queue.name}` : queue.address,
      `m${this.#textCount}`,
      {
        routing: random.chance(0.1) && !isByFullName ? undefined : queue.routingType,
        durable: this.#areDurable,
        priority: isHurried || isTransacted || random.chance(0.7) ? 4 : random.integer(0, 9),
        requiresResponse: random.chance(0.7),
        properties: {
          ...(random.chance(0.6) ? { n: { type: "int", value: random.integer(0, 2) } } : {}),
          ...(hasId ? { _AMQ_DUPL_ID: { type: "string", value: id } } : {}),
        },
      },
    );
  }

  /** Of one priority, as in a transaction: it is a matter of luck what a higher one overtakes. */
  #publishSeveral(): void {
    const actor = this.#actor();
    this.#script.together(() => {
      for (let count = this.#random.integer(2, 5); count > 0; count -= 1)
        this.#publish(actor, true);
    });
  }

  #consume(): void {
    const random = this.#random;
    const queue = random.pick(atLeastOne(this.#queues));
    if (this.#takers.some((taker) => taker.queue === queue && !taker.isBrowser)) return;
    const taker = this.#open(queue, false, random.chance(0.25) ? random.pick(filters) : null);
    taker.isUnlimited = random.chance(0.4);
    taker.actor.session.credits(taker.id, taker.isUnlimited ? -1 : random.integer(1, 600));
  }

  #browse(): void {
    const random = this.#random;
    const queue = random.pick(atLeastOne(this.#queues));
    // It is closed again at once: when it is shown what comes later is a matter of taste.
    const { actor, id } = this.#open(queue, true, random.chance(0.4) ? random.pick(filters) : null);
    this.#takers.pop();
    actor.session.credits(id, random.chance(0.7) ? -1 : random.integer(1, 400));
    actor.session.force(id, 0);
    actor.session.closeConsumer(id);
  }

  #open(queue: Queue, isBrowser: boolean, filter: string | null): Taker {
    const actor = this.#actor();
    const id = this.#consumerCount;
    this.#consumerCount += 1;
    actor.session.consumer(id, queue.name, {
      filter,
      browseOnly: isBrowser,
      requiresResponse: this.#random.chance(0.8),
      priority: this.#random.integer(-1, 1),
    });
    const taker = { actor, id, queue, isBrowser, isUnlimited: false };
    this.#takers.push(taker);
    return taker;
  }

  #settle(): void {
    const taker = this.#taker();
    if (taker === undefined) return;
    const random = this.#random;
    const which = random.pick([0, 0, 1, -1]);
    taker.actor.session.settleHeld(taker.id, which, random.chance(0.6));
  }

  #credits(): void {
    const taker = this.#taker();
    if (taker === undefined || taker.isUnlimited) return;
    const credits = this.#random.pick([0, 1, 100, 200, 500, -1]);
    taker.isUnlimited = credits === -1;
    taker.actor.session.credits(taker.id, credits);
  }

  #force(): void {
    const taker = this.#taker();
    taker?.actor.session.force(taker.id, this.#random.integer(0, 1000));
  }

  #closeConsumer(): void {
    const taker = this.#taker();
    if (taker === undefined) return;
    taker.actor.session.closeConsumer(taker.id);
    this.#takers.splice(this.#takers.indexOf(taker), 1);
  }

  #endTransaction(): void {
    const actor = this.#actor();
    actor.usedIds.clear();
    actor.hasSent = false;
    if (this.#random.chance(0.6)) actor.session.commit();
    else actor.session.rollback(this.#random.chance(0.5));
  }

  #startOrStop(): void {
    const { session } = this.#actor();
    if (this.#random.chance(0.6)) session.start();
    else session.stop();
  }

  #ask(): void {
    const { session } = this.#actor();
    const queue = this.#random.pick(atLeastOne(this.#queues));
    if (this.#random.chance(0.6)) session.query(queue.name);
    else session.binding(queue.address);
  }

  #breakConnection(): void {
    const actor = this.#actor();
    if (actor.hasWindow) return;
    actor.session.connection.drop();
    this.#replaceSession(actor);
  }

  #reopenSession(): void {
    const actor = this.#actor();
    actor.session.close();
    this.#replaceSession(actor);
  }

  #replaceSession(actor: Actor): void {
    this.#forgetTakers((taker) => taker.actor === actor);
    actor.usedIds.clear();
    actor.hasSent = false;
    actor.session = this.#script.session({
      autoCommitSends: !actor.isTransacted,
      autoCommitAcks: !actor.isTransacted,
    });
    actor.session.start();
  }

  #replaceQueue(): void {
    if (this.#actors.some((actor) => actor.hasSent)) return;
    const queue = this.#random.pick(atLeastOne(this.#queues));
    this.#actor().session.deleteQueue(queue.name);
    this.#forgetTakers((taker) => taker.queue === queue);
    this.#create(queue);
  }

  #forgetTakers(isGone: (taker: Taker) => boolean): void {
    const left = this.#takers.filter((taker) => !isGone(taker));
    this.#takers.splice(0, this.#takers.length, ...left);
  }

  #taker(): Taker | undefined {
    const [first, ...others] = this.#takers;
    return first === undefined ? undefined : this.#random.pick([first, ...others]);
  }
}

function repeated<T>(count: number, move: T): readonly [T, ...T[]] {
  return [move, ...Array.from({ length: count - 1 }, () => move)];
}

function atLeastOne<T>(list: readonly T[]): readonly [T, ...T[]] {
  const [first, ...others] = list;
  if (first === undefined) throw new Error("a random program has at least one of everything");
  return [first, ...others];
}
