import type { Link, LinkHandler } from "@everhold/env";
import { Channel } from "./channel.ts";
import { ClientConnection, type ConnectionServer } from "./client-connection.ts";
import type { EnsembleOptions, EnsemblePorts } from "./ensemble-types.ts";
import type { Leadership, Member } from "./leadership.ts";
import { Replica } from "./replica.ts";
import type { Transaction } from "./transaction.ts";
import type { WriteRequest } from "./writes.ts";

/** What a server needs of the ensemble. */
export interface ServerHost {
  readonly options: EnsembleOptions;
  readonly ports: EnsemblePorts;
  /** A number that no other request has. */
  nextRequestId(): number;
  /** The server has no leader. */
  onLooking(): void;
}

type Role =
  | { readonly kind: "down" | "looking" }
  | { readonly kind: "leading"; readonly leadership: Leadership }
  | { readonly kind: "following"; readonly following: Following };

/** A follower's time with one leader. */
interface Following extends Member {
  readonly leadership: Leadership;
  readonly toLeader: Channel;
  readonly fromLeader: Channel;
  heardAtMs: number;
}

/**
 * One server: what it has of the log and of the data, who is connected, and whom it follows. Source: ZooKeeper,
 * `QuorumPeer`, `Follower`, `Learner`.
 */
export class Server implements ConnectionServer {
  readonly index: number;
  readonly options: EnsembleOptions;
  readonly ports: EnsemblePorts;
  readonly connections = new Set<ClientConnection>();
  /** Every transaction that it has taken up. */
  log: Transaction[] = [];
  replica: Replica;
  /** Whether nothing passes between it and the other servers. */
  isCut = false;
  /** Of the last leader that it has had, itself included; durable. */
  epoch = 0;
  readonly #host: ServerHost;
  #role: Role = { kind: "down" };
  #appliedCount = 0;
  /** Whose request a transaction answers. */
  readonly #asking = new Map<number, ClientConnection>();
  /** Sessions that the leader does not know to be alive yet. */
  #touched = new Set<bigint>();
  #lastSessionId = 0n;

  constructor(host: ServerHost, index: number) {
    this.#host = host;
    this.index = index;
    this.options = host.options;
    this.ports = host.ports;
    this.replica = new Replica(host.options.version);
  }

  get roleKind(): Role["kind"] {
    return this.#role.kind;
  }

  get isServing(): boolean {
    return this.#role.kind === "leading" || this.#role.kind === "following";
  }

  /** Whom it follows or what it leads. */
  get leadership(): Leadership | undefined {
    if (this.#role.kind === "leading") return this.#role.leadership;
    return this.#role.kind === "following" ? this.#role.following.leadership : undefined;
  }

  accept(link: Link): LinkHandler {
    const connection = new ClientConnection(this, link);
    this.connections.add(connection);
    return connection;
  }

  /** The process starts. */
  boot(): void {
    this.#role = { kind: "looking" };
    this.#host.onLooking();
  }

  /** The process dies; its log is durable. */
  die(): void {
    this.#leaveRole({ kind: "down" });
  }

  /** The server has no leader any more, and serves nobody. */
  look(): void {
    this.#leaveRole({ kind: "looking" });
    this.#host.onLooking();
  }

  /** All data are lost. */
  wipe(): void {
    this.die();
    this.log = [];
    this.epoch = 0;
    this.#appliedCount = 0;
    this.replica = new Replica(this.options.version);
  }

  /** It leads: everything in its log is decided or will be. */
  lead(leadership: Leadership): void {
    this.log = leadership.log;
    this.#role = { kind: "leading", leadership };
    this.#begin(leadership);
  }

  /** It follows a leader, and has what the leader has. */
  follow(leadership: Leadership): void {
    this.log = [...leadership.log];
    const following = this.#newFollowing(leadership);
    this.#role = { kind: "following", following };
    this.#begin(leadership);
    leadership.join(following);
    this.#watchLeader(following);
  }

  /** Does what is decided, up to so many transactions of its log. */
  applyUpTo(count: number): void {
    while (this.#appliedCount < count) {
      const transaction = this.log[this.#appliedCount];
      if (transaction === undefined) return;
      this.#appliedCount += 1;
      this.#apply(transaction);
    }
  }

  /** Holds up, or lets pass, what goes between it and its leader. */
  setHeld(isHeld: boolean): void {
    if (this.#role.kind !== "following") return;
    const { toLeader, fromLeader } = this.#role.following;
    for (const channel of [fromLeader, toLeader]) {
      if (isHeld) channel.hold();
      else channel.release();
    }
  }

  nextSessionId(): bigint {
    const { monotonicClock } = this.ports;
    const first =
      (BigInt(this.index + 1) << 56n) | (BigInt(Math.floor(monotonicClock.nowMs()) + 1) << 16n);
    this.#lastSessionId = this.#lastSessionId < first ? first : this.#lastSessionId + 1n;
    return this.#lastSessionId;
  }

  newRequestId(by: ClientConnection): number {
    const requestId = this.#host.nextRequestId();
    this.#asking.set(requestId, by);
    return requestId;
  }

  createSession(session: { sessionId: bigint; timeoutMs: number; requestId: number }): void {
    const { index } = this;
    this.#toLeader((leadership) => leadership.createSession(session, index));
  }

  closeSession(sessionId: bigint, requestId: number): void {
    this.#toLeader((leadership) => leadership.closeSession(sessionId, "closed", requestId));
  }

  write(request: WriteRequest): void {
    const { index } = this;
    this.#toLeader((leadership) => leadership.take(request, index));
  }

  sync(done: () => void): void {
    if (this.options.mistake === "sync-alone") return done();
    this.#toLeader((leadership, answer) => leadership.sync(() => answer(done)));
  }

  revalidate(sessionId: bigint, done: (isAlive: boolean) => void): void {
    const { index } = this;
    this.#toLeader((leadership, answer) => {
      const isAlive = leadership.revalidate(sessionId, index);
      answer(() => done(isAlive));
    });
  }

  touch(sessionId: bigint): boolean {
    if (this.#role.kind === "leading") return this.#role.leadership.touch(sessionId);
    this.#touched.add(sessionId);
    return true;
  }

  checkRead(sessionId: bigint): void {
    if (this.#role.kind !== "leading") return;
    this.#role.leadership.checkSession(sessionId, this.index);
  }

  /** Has the leader do something; what it answers comes back behind what it has sent before. */
  #toLeader(step: (leadership: Leadership, answer: (arrive: () => void) => void) => void): void {
    if (this.#role.kind === "leading") {
      return step(this.#role.leadership, (arrive) => arrive());
    }
    if (this.#role.kind !== "following") return;
    const { toLeader, fromLeader, leadership } = this.#role.following;
    toLeader.send(() => {
      if (!leadership.isOver) step(leadership, (arrive) => fromLeader.send(arrive));
    });
  }

  #begin({ epoch, decidedCount }: Leadership): void {
    this.epoch = epoch;
    this.replica.forgetWatches();
    this.applyUpTo(decidedCount);
    const zxid = BigInt(epoch) << 32n;
    if (this.replica.lastZxid < zxid) this.replica.lastZxid = zxid;
  }

  #newFollowing(leadership: Leadership): Following {
    const { ports, options } = this;
    const { monotonicClock } = ports;
    const toLeader = new Channel(ports, options.lag);
    const fromLeader = new Channel(ports, options.lag);
    const arrives = (step: () => void): void =>
      fromLeader.send(() => {
        following.heardAtMs = monotonicClock.nowMs();
        step();
      });
    const following: Following = {
      ...{ index: this.index, leadership, toLeader, fromLeader },
      heardAtMs: monotonicClock.nowMs(),
      onProposal: (transaction) =>
        arrives(() => {
          this.log.push(transaction);
          const count = this.log.length;
          toLeader.send(() => leadership.taken(following, count));
        }),
      onCommitted: (count) => arrives(() => this.applyUpTo(count)),
      onLeaderPing: () =>
        arrives(() => {
          const touched = this.#touched;
          this.#touched = new Set();
          toLeader.send(() => leadership.onPong(following, touched));
        }),
      onLeaderGone: () => fromLeader.send(() => this.look()),
    };
    return following;
  }

  /** Gives the leader up when it was not heard of for too long. */
  #watchLeader(following: Following): void {
    const { tickTimeMs, syncLimit } = this.options;
    this.ports.timers.after(tickTimeMs / 2, () => {
      if (this.#role.kind !== "following" || this.#role.following !== following) return;
      const silentMs = this.ports.monotonicClock.nowMs() - following.heardAtMs;
      if (silentMs > tickTimeMs * syncLimit) this.look();
      else this.#watchLeader(following);
    });
  }

  #leaveRole(next: { readonly kind: "down" | "looking" }): void {
    const role = this.#role;
    this.#role = next;
    if (role.kind === "leading") role.leadership.end();
    if (role.kind === "following") {
      const { toLeader, fromLeader, leadership } = role.following;
      fromLeader.close();
      toLeader.send(() => leadership.leave(role.following));
    }
    this.#asking.clear();
    this.#touched.clear();
    for (const connection of [...this.connections]) connection.cut();
    this.replica.forgetWatches();
  }

  #apply(transaction: Transaction): void {
    const { body, sessionId, requestId } = transaction;
    const result = this.replica.apply(transaction);
    const asking = requestId === undefined ? undefined : this.#asking.get(requestId);
    if (requestId !== undefined) this.#asking.delete(requestId);
    if (body.kind === "closeSession") {
      for (const connection of [...this.connections]) {
        if (connection.sessionId === sessionId && connection !== asking) connection.cut();
      }
    }
    asking?.onApplied(transaction, result);
  }
}
