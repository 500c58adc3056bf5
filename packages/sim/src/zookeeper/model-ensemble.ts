import { isDeepStrictEqual } from "node:util";
import type { Link, LinkHandler } from "@everhold/env";
import { drawn } from "./channel.ts";
import type {
  EnsembleEvent,
  EnsembleOptions,
  EnsemblePorts,
  NodeView,
  ZooKeeperEnsemble,
} from "./ensemble-types.ts";
import { changesOf, type EndCause, Leadership, type LeadershipHost } from "./leadership.ts";
import { Replica } from "./replica.ts";
import { Server, type ServerHost } from "./server.ts";
import { statOf, systemPaths } from "./tree.ts";

/** How servers are set up where nobody says otherwise. */
export const ensembleDefaults: EnsembleOptions = {
  serverCount: 3,
  version: "3.9.5",
  tickTimeMs: 2000,
  syncLimit: 5,
  juteMaxBuffer: 0xf_ffff,
  extendedTypesEnabled: false,
  readOnlyModeEnabled: false,
  containerCheckMs: 60_000,
  lag: { minMs: 0.1, maxMs: 3 },
  election: { minMs: 200, maxMs: 3000 },
  mistake: undefined,
};

/** A model of ZooKeeper servers: see {@link ZooKeeperEnsemble}. Its servers run from the beginning. */
export class ModelEnsemble implements ZooKeeperEnsemble, ServerHost, LeadershipHost {
  readonly options: EnsembleOptions;
  readonly ports: EnsemblePorts;
  readonly #servers: readonly Server[];
  readonly #listeners = new Set<(event: EnsembleEvent) => void>();
  /** Sessions to end as soon as somebody leads. */
  readonly #toEnd = new Set<bigint>();
  /** What has been decided, whoever knows it. */
  #truth: Replica;
  #decidedCount = 0;
  #leadership: Leadership | undefined;
  #epoch = 0;
  #requestCount = 0;
  #isElecting = false;
  #isClosed = false;

  constructor(ports: EnsemblePorts, options: Partial<EnsembleOptions> = {}) {
    this.ports = ports;
    this.options = { ...ensembleDefaults, ...options };
    this.#truth = new Replica(this.options.version);
    const { serverCount } = this.options;
    this.#servers = Array.from({ length: serverCount }, (_, index) => new Server(this, index));
    for (const server of this.#servers) server.boot();
  }

  get leaderIndex(): number | undefined {
    return this.#leadership?.index;
  }

  get sessionIds(): readonly bigint[] {
    return [...this.#truth.sessions.keys()];
  }

  get paths(): readonly string[] {
    return this.#truth.tree.paths.filter((path) => !systemPaths.includes(path));
  }

  listen(listener: (event: EnsembleEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  accept(index: number, link: Link): LinkHandler {
    return this.#server(index).accept(link);
  }

  isRunning(index: number): boolean {
    return this.#server(index).roleKind !== "down";
  }

  kill(index: number): void {
    this.#server(index).die();
    this.#lookAtLeader();
  }

  restart(index: number): void {
    if (!this.#isClosed && !this.isRunning(index)) this.#server(index).boot();
  }

  cutFromLeader(index: number): void {
    this.#server(index).isCut = true;
    this.#holdChannels();
  }

  reconnect(index: number): void {
    this.#server(index).isCut = false;
    this.#holdChannels();
    this.#elect();
  }

  wipe(): void {
    for (const server of this.#servers) server.wipe();
    this.#lookAtLeader();
    for (const sessionId of this.sessionIds) {
      this.#tell({ type: "sessionEnded", sessionId, cause: "wiped" });
    }
    this.#truth = new Replica(this.options.version);
    this.#decidedCount = 0;
    this.#epoch = 0;
    this.#toEnd.clear();
    this.#tell({ type: "wiped" });
    for (const server of this.#servers) server.boot();
  }

  endSession(sessionId: bigint): void {
    if (this.#leadership === undefined) this.#toEnd.add(sessionId);
    else this.#leadership.closeSession(sessionId, "killed");
  }

  isSessionAlive(sessionId: bigint): boolean {
    return this.#truth.sessions.has(sessionId);
  }

  node(path: string): NodeView | undefined {
    const node = this.#truth.tree.find(path);
    return node && { data: node.data, acl: node.acl, stat: statOf(node) };
  }

  /** Paths that some server which serves knows otherwise than they were decided. */
  differences(): string[] {
    const truth = this.#truth.tree;
    return this.#servers.flatMap(({ isServing, index, replica: { tree } }) => {
      if (!isServing) return [];
      const paths = new Set([...truth.paths, ...tree.paths]);
      const isSame = (path: string): boolean => {
        const [one, other] = [truth.find(path), tree.find(path)];
        if (one === undefined || other === undefined) return false;
        return (
          isDeepStrictEqual(statOf(one), statOf(other)) && String(one.data) === String(other.data)
        );
      };
      return [...paths].filter((path) => !isSame(path)).map((path) => `${path} on ${index}`);
    });
  }

  close(): void {
    this.#isClosed = true;
    for (const server of this.#servers) server.die();
    this.#leadership = undefined;
  }

  nextRequestId(): number {
    this.#requestCount += 1;
    return this.#requestCount;
  }

  onLooking(): void {
    this.#lookAtLeader();
    if (this.options.serverCount === 1) this.#found(this.#server(0));
    else this.#elect();
  }

  onQuorumLost(leadership: Leadership): void {
    this.#server(leadership.index).look();
  }

  onDecided(leadership: Leadership): void {
    const { log, decidedCount } = leadership;
    while (this.#decidedCount < decidedCount) {
      const transaction = log[this.#decidedCount];
      if (transaction === undefined) break;
      this.#decidedCount += 1;
      const { sessionId, zxid, body } = transaction;
      const wasAlive = this.isSessionAlive(sessionId);
      this.#truth.apply(transaction);
      this.#tell({ type: "committed", zxid, changes: changesOf(transaction) });
      if (body.kind === "createSession") {
        this.#tell({ type: "sessionBegan", sessionId, timeoutMs: body.timeoutMs });
      }
      if (body.kind !== "closeSession") continue;
      const cause: EndCause = leadership.endCauses.get(sessionId) ?? "closed";
      leadership.onSessionEnded(sessionId);
      if (wasAlive) this.#tell({ type: "sessionEnded", sessionId, cause });
    }
    this.#server(leadership.index).applyUpTo(decidedCount);
  }

  #server(index: number): Server {
    const server = this.#servers[index];
    if (server === undefined) throw new Error(`there is no server ${index}`);
    return server;
  }

  #tell(event: EnsembleEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  #lookAtLeader(): void {
    if (this.#leadership === undefined || !this.#leadership.isOver) return;
    this.#leadership = undefined;
    this.#tell({ type: "leader", index: undefined });
  }

  /** What goes between two servers one of which is cut off waits. */
  #holdChannels(): void {
    for (const server of this.#servers) {
      const { leadership } = server;
      if (leadership === undefined) continue;
      server.setHeld(server.isCut || this.#server(leadership.index).isCut);
    }
  }

  /**
   * Servers without a leader find one, after a while: who has had the newest leader, as others may have more that was
   * never decided. Source: ZooKeeper, `FastLeaderElection.totalOrderPredicate`.
   */
  #elect(): void {
    if (this.#isElecting || this.#isClosed || this.options.serverCount === 1) return;
    this.#isElecting = true;
    this.ports.timers.after(drawn(this.ports, this.options.election), () => {
      this.#isElecting = false;
      if (this.#isClosed) return;
      const looking = this.#servers.filter((one) => one.roleKind === "looking" && !one.isCut);
      const leadership = this.#leadership;
      if (leadership !== undefined && !this.#server(leadership.index).isCut) {
        for (const server of looking) server.follow(leadership);
      } else if (looking.length > this.options.serverCount / 2) {
        const [best = this.#server(0)] = looking.toSorted(
          (one, other) =>
            other.epoch - one.epoch ||
            lastZxidOf(other) - lastZxidOf(one) ||
            other.index - one.index,
        );
        this.#found(best, looking);
      }
    });
  }

  /** A server leads those that look for a leader. */
  #found(leader: Server, others: readonly Server[] = []): void {
    if (this.options.serverCount > 1) this.#epoch += 1;
    const { index, log } = leader;
    const leadership = new Leadership(this, { index, epoch: this.#epoch, log });
    this.#leadership = leadership;
    leader.lead(leadership);
    this.onDecided(leadership);
    for (const server of others) {
      if (server !== leader) server.follow(leadership);
    }
    leadership.start(leader.replica);
    this.#tell({ type: "leader", index });
    for (const sessionId of this.#toEnd) leadership.closeSession(sessionId, "killed");
    this.#toEnd.clear();
  }
}

/** How far a server is; safe as a number, because no world lasts for 2^21 elections. */
function lastZxidOf({ log }: Server): number {
  return Number(log.at(-1)?.zxid ?? 0n);
}
