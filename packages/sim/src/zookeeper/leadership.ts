import type {
  ChangeView,
  EnsembleEvent,
  EnsembleOptions,
  EnsemblePorts,
} from "./ensemble-types.ts";
import type { Replica } from "./replica.ts";
import { SessionTable } from "./session-table.ts";
import type { Transaction, TransactionBody } from "./transaction.ts";
import type { Moment, Tree } from "./tree.ts";
import { preparedWrite, type WriteRequest } from "./writes.ts";

/** A server that takes part, as its leader sees it. */
export interface Member {
  readonly index: number;
  onProposal(transaction: Transaction): void;
  /** So many transactions of the log are decided. */
  onCommitted(count: number): void;
  onLeaderPing(): void;
  /** The leader leads no more. */
  onLeaderGone(): void;
}

/** Why a session ends. */
export type EndCause = Extract<EnsembleEvent, { type: "sessionEnded" }>["cause"];

/** What a leadership needs of the ensemble. */
export interface LeadershipHost {
  readonly options: EnsembleOptions;
  readonly ports: EnsemblePorts;
  /** These transactions are decided from now on. */
  onDecided(leadership: Leadership): void;
  /** Too few servers are heard of. */
  onQuorumLost(leadership: Leadership): void;
}

/**
 * One server's time as a leader: it checks what is asked for, gives it its number, and decides what most servers have
 * taken up. It alone knows which sessions live. Source: ZooKeeper, `Leader`, `PrepRequestProcessor`.
 */
export class Leadership {
  readonly index: number;
  readonly epoch: number;
  /** Everything that was ever taken up, decided or not. */
  readonly log: Transaction[];
  /** How many of the log are decided. */
  decidedCount: number;
  /** Why sessions that are about to end do. */
  readonly endCauses = new Map<bigint, EndCause>();
  readonly #host: LeadershipHost;
  readonly #members = new Map<number, { readonly member: Member; heardAtMs: number }>();
  /** How many transactions each member has taken up. */
  readonly #takenCounts = new Map<number, number>();
  readonly #sessions: SessionTable;
  /** Waits for everything that was taken up before it to be decided. */
  #syncs: { readonly count: number; readonly done: () => void }[] = [];
  #tree: Tree | undefined;
  #zxid: bigint;
  #isOver = false;

  /** Everything in `log` is decided: most servers are about to take it over. */
  constructor(
    host: LeadershipHost,
    { index, epoch, log }: { index: number; epoch: number; log: Transaction[] },
  ) {
    this.#host = host;
    this.index = index;
    this.epoch = epoch;
    this.log = log;
    this.decidedCount = log.length;
    this.#zxid = BigInt(epoch) << 32n;
    const patience = host.options.mistake === "end-sessions-early" ? 0.25 : 1;
    this.#sessions = new SessionTable(host.options.tickTimeMs, patience);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get #nowMs(): number {
    return this.#host.ports.monotonicClock.nowMs();
  }

  /** Begins, when the leader has done everything in the log: every session's time begins anew. */
  start(replica: Replica): void {
    this.#tree = replica.tree.copy();
    if (replica.lastZxid > this.#zxid) this.#zxid = replica.lastZxid;
    for (const [sessionId, timeoutMs] of replica.sessions) {
      this.#sessions.track(sessionId, timeoutMs, this.#nowMs);
    }
    this.#expireLater();
    this.#repeat(this.#host.options.containerCheckMs, () => this.#reap());
    if (this.#host.options.serverCount > 1) {
      this.#repeat(this.#host.options.tickTimeMs / 2, () => this.#ping());
    }
  }

  /** Ends, without a word to the followers when the process is gone. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const { member } of this.#members.values()) member.onLeaderGone();
  }

  /** A member has everything in the log. */
  join(member: Member): void {
    this.#members.set(member.index, { member, heardAtMs: this.#nowMs });
    this.#takenCounts.set(member.index, this.log.length);
    this.#decide();
  }

  /** The connection to a member is gone. */
  leave(member: Member): void {
    if (this.#members.get(member.index)?.member !== member) return;
    this.#members.delete(member.index);
    this.#takenCounts.delete(member.index);
  }

  /** A member has taken up so many of the log. */
  taken(member: Member, count: number): void {
    if (this.#hears(member)) this.#takenCounts.set(member.index, count);
    this.#decide();
  }

  /** A member answers a ping with the sessions that it has heard of. */
  onPong(member: Member, sessionIds: Iterable<bigint>): void {
    if (!this.#hears(member)) return;
    for (const sessionId of sessionIds) this.touch(sessionId);
  }

  touch(sessionId: bigint): boolean {
    return this.#sessions.touch(sessionId, this.#nowMs);
  }

  /** @throws Refusal when the session has ended, or is connected to another server */
  checkSession(sessionId: bigint, owner: number): void {
    this.#sessions.check(sessionId, owner);
  }

  /** Whether the session lives; it is connected to this server from now on. */
  revalidate(sessionId: bigint, owner: number): boolean {
    return this.touch(sessionId) && this.#sessions.setOwner(sessionId, owner);
  }

  createSession(
    session: { sessionId: bigint; timeoutMs: number; requestId: number },
    owner: number,
  ): void {
    if (this.#isOver) return;
    const { sessionId, timeoutMs, requestId } = session;
    this.#sessions.track(sessionId, timeoutMs, this.#nowMs);
    this.#sessions.setOwner(sessionId, owner);
    this.#append({ kind: "createSession", timeoutMs }, { sessionId, requestId });
  }

  /** Ends a session and its nodes. */
  closeSession(sessionId: bigint, cause: EndCause, requestId?: number): void {
    const tree = this.#tree;
    if (this.#isOver || tree === undefined) return;
    this.#sessions.beginToClose(sessionId);
    if (!this.endCauses.has(sessionId)) this.endCauses.set(sessionId, cause);
    const paths = tree.ephemeralsOf(sessionId);
    const moment = this.#nextMoment();
    for (const path of paths) tree.delete(path, moment);
    this.#append({ kind: "closeSession", paths }, { sessionId, requestId, moment });
  }

  /** Takes a request up that came to the server `owner`. */
  take(request: WriteRequest, owner: number): void {
    const tree = this.#tree;
    if (this.#isOver || tree === undefined) return;
    const { sessionId, requestId, identities } = request;
    const { options } = this.#host;
    const before = this.#zxid;
    const checkSession = (): void => this.#sessions.check(sessionId, owner);
    const moment = this.#nextMoment();
    const asking = { tree, options, sessionId, identities, checkSession };
    const { body, isCounted } = preparedWrite(request, asking, moment);
    if (!isCounted) this.#zxid = before;
    const zxid = isCounted ? moment.zxid : before;
    this.#append(body, { sessionId, requestId, moment: { ...moment, zxid } });
    if (options.mistake !== "write-twice" || body.kind !== "change") return;
    if (body.change.kind !== "setData") return;
    const again = this.#nextMoment();
    tree.setData(body.change.path, body.change.data, again);
    this.#append(body, { sessionId, requestId: undefined, moment: again });
  }

  /** Calls `done` when everything that was taken up until now is decided. */
  sync(done: () => void): void {
    this.#syncs.push({ count: this.log.length, done });
    this.#decide();
  }

  /** The sessions' part of what was decided. */
  onSessionEnded(sessionId: bigint): void {
    this.#sessions.remove(sessionId);
  }

  #hears(member: Member): boolean {
    const entry = this.#members.get(member.index);
    if (this.#isOver || entry?.member !== member) return false;
    entry.heardAtMs = this.#nowMs;
    return true;
  }

  #nextMoment(): Moment {
    this.#zxid += 1n;
    return { zxid: this.#zxid, timeMs: this.#host.ports.wallClock.nowMs() };
  }

  #append(
    body: TransactionBody,
    of: { sessionId: bigint; requestId: number | undefined; moment?: Moment },
  ): void {
    const { sessionId, requestId, moment = this.#nextMoment() } = of;
    const transaction: Transaction = { ...moment, sessionId, requestId, body };
    this.log.push(transaction);
    for (const { member } of this.#members.values()) member.onProposal(transaction);
    this.#decide();
  }

  /** What most servers have taken up is decided. */
  #decide(): void {
    if (this.#isOver) return;
    const { serverCount } = this.#host.options;
    const counts = [this.log.length, ...this.#takenCounts.values()].toSorted((a, b) => b - a);
    const decidedCount = counts[Math.floor(serverCount / 2)] ?? 0;
    if (decidedCount > this.decidedCount) {
      this.decidedCount = decidedCount;
      this.#host.onDecided(this);
      for (const { member } of this.#members.values()) member.onCommitted(decidedCount);
    }
    const ready = this.#syncs.filter(({ count }) => count <= this.decidedCount);
    this.#syncs = this.#syncs.filter(({ count }) => count > this.decidedCount);
    for (const { done } of ready) done();
  }

  #expireLater(): void {
    this.#host.ports.timers.after(this.#sessions.msToTick(this.#nowMs), () => {
      if (this.#isOver) return;
      for (const sessionId of this.#sessions.expired(this.#nowMs)) {
        this.closeSession(sessionId, "expired");
      }
      this.#expireLater();
    });
  }

  #repeat(intervalMs: number, step: () => void): void {
    this.#host.ports.timers.after(intervalMs, () => {
      if (this.#isOver) return;
      step();
      if (!this.#isOver) this.#repeat(intervalMs, step);
    });
  }

  /** Pings the followers, and gives up when too few of them have been heard of lately. */
  #ping(): void {
    const { tickTimeMs, syncLimit, serverCount } = this.#host.options;
    const sinceMs = this.#nowMs - tickTimeMs * syncLimit;
    const heard = [...this.#members.values()].filter(({ heardAtMs }) => heardAtMs >= sinceMs);
    if (heard.length + 1 <= serverCount / 2) return this.#host.onQuorumLost(this);
    for (const { member } of this.#members.values()) member.onLeaderPing();
  }

  /** Deletes containers that have had children and have none, and nodes whose time to live is over. */
  #reap(): void {
    const tree = this.#tree;
    if (tree === undefined) return;
    const nowMs = this.#host.ports.wallClock.nowMs();
    for (const path of tree.paths) {
      const { lifetime, children, childrenMade, mtime } = tree.node(path);
      const isOver =
        (lifetime.kind === "container" && childrenMade > 0) ||
        (lifetime.kind === "ttl" && nowMs - mtime > lifetime.ttlMs);
      if (!isOver || children.size > 0) continue;
      const moment = this.#nextMoment();
      tree.delete(path, moment);
      const of = { sessionId: 0n, requestId: undefined, moment };
      this.#append({ kind: "change", change: { kind: "delete", path } }, of);
    }
  }
}

/** What a transaction changes, for whoever looks on. */
export function changesOf({ body, sessionId }: Transaction): ChangeView[] {
  if (body.kind === "closeSession") {
    return body.paths.map((path) => ({ type: "deleted", path, sessionId, data: undefined }));
  }
  const changes =
    body.kind === "change" ? [body.change] : body.kind === "multi" ? body.changes : [];
  return changes.flatMap((change) => {
    if (change.kind === "check") return [];
    const data = "data" in change ? change.data : undefined;
    return [{ type: viewTypes[change.kind], path: change.path, sessionId, data }];
  });
}

const viewTypes = {
  create: "created",
  setData: "dataChanged",
  setAcl: "aclChanged",
  delete: "deleted",
} as const;
