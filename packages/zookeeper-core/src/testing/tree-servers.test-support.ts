import { TestWorld } from "@everhold/test-world";
import { ByteReader, readValue } from "@everhold/wire";
import type { ZooKeeper } from "../api/zookeeper.ts";
import { connect } from "../connect.ts";
import type { ZooKeeperOptions } from "../options.ts";
import { zooKeeperErrors } from "../protocol/error-codes.ts";
import { operations } from "../protocol/operations.ts";
import { watchEventTypes } from "../protocol/watch-events.ts";
import { TestEnsemble, type ReceivedRequest, type Verdict } from "./test-ensemble.test-support.ts";
import { TreeRequests } from "./tree-requests.test-support.ts";

/** What a watch was set on, as it was. */
interface ServerWatch {
  readonly sessionId: bigint;
  readonly path: string;
  readonly kind: "data" | "exists" | "children";
  readonly seen: string;
}

/** Whole clients on servers that share one tree, with its ephemeral nodes and the watches of reads. */
export class TreeServers {
  readonly world = new TestWorld();
  readonly ensemble: TestEnsemble;
  readonly tree = new TreeRequests();
  /** What a request is answered with before the tree is asked. */
  interfere: (request: ReceivedRequest) => Verdict | undefined = () => undefined;
  /** Decides whether the answer to a request that took effect is lost, with the connection. */
  losesAnswer: (request: ReceivedRequest) => boolean = () => false;
  /** Events that were sent, as "deleted /a". */
  readonly told: string[] = [];
  #watches: ServerWatch[] = [];
  /** What each watch was set on, also when it was told: what was told may be lost. */
  readonly #seen = new Map<string, string>();

  constructor(hosts: readonly string[] = ["a"]) {
    this.ensemble = new TestEnsemble(this.world, hosts);
    this.ensemble.rule = (request) => this.#answer(request);
  }

  /** A client that is connected, with a session timeout of 6 s. */
  connect(options: ZooKeeperOptions = {}): Promise<ZooKeeper> {
    const { world, ensemble } = this;
    const hosts = ensemble.servers.map(({ host }) => host).join(",");
    return world.now(connect(world.ports, hosts, { sessionTimeout: 6000, ...options }));
  }

  /** A session ends on the servers; its client is told when it comes back, which is at once. */
  async expire(sessionId: bigint): Promise<void> {
    this.endSession(sessionId);
    await this.world.advance(1000);
  }

  /** A session ends on the servers. */
  endSession(sessionId: bigint): void {
    this.ensemble.sessions.delete(sessionId);
    this.tree.expire(sessionId);
    this.#watches = this.#watches.filter((watch) => watch.sessionId !== sessionId);
    this.#connectionOf(sessionId)?.link.destroy();
    this.#tell();
  }

  /** The connection of a session breaks. */
  disconnect(sessionId: bigint): void {
    this.#connectionOf(sessionId)?.link.destroy();
  }

  /** Somebody else changes the tree. */
  async change(change: (tree: TreeRequests) => void): Promise<void> {
    change(this.tree);
    this.#tell();
    await this.world.settle();
  }

  #answer(request: ReceivedRequest): Verdict {
    const verdict = this.interfere(request);
    if (verdict !== undefined) return verdict;
    const { code, body, sessionId } = request;
    if (code === operations.closeSession.code) {
      this.tree.expire(sessionId);
      this.#tell();
      return "usual";
    }
    if (code === operations.setWatches.code) this.#restore(request);
    if (code < 0 || code === operations.setWatches.code) return "usual";
    if (code === operations.removeWatches.code) return this.#forget(request);
    this.tree.sessionId = sessionId;
    const answer = this.tree.answer(code, body);
    this.#tell();
    this.#note(request, answer);
    return this.losesAnswer(request) ? "close" : answer;
  }

  #note({ code, body, sessionId }: ReceivedRequest, answer: Verdict): void {
    const kind = watchKinds.get(code);
    if (kind === undefined) return;
    const { path, watch } = readValue(operations.getData.request, new ByteReader(body), "a read");
    const isSet = watch && (kind === "exists" || typeof answer !== "number");
    if (isSet) this.#add({ sessionId, path, kind, seen: this.#look(path, kind) });
  }

  #add(watch: ServerWatch): void {
    const { sessionId, path, kind, seen } = watch;
    this.#seen.set(`${sessionId} ${kind} ${path}`, seen);
    const isSame = (one: ServerWatch): boolean =>
      one.sessionId === sessionId && one.path === path && one.kind === kind;
    // Of one session a server has one watch of a kind.
    if (!this.#watches.some(isSame)) this.#watches.push(watch);
  }

  /** Of all kinds. */
  #forget({ body, sessionId }: ReceivedRequest): Verdict {
    const reader = new ByteReader(body);
    const { path } = readValue(operations.removeWatches.request, reader, "watches");
    const isKept = (one: ServerWatch): boolean => one.sessionId !== sessionId || one.path !== path;
    const kept = this.#watches.filter(isKept);
    const wereThere = kept.length < this.#watches.length;
    this.#watches = kept;
    return wereThere ? "usual" : zooKeeperErrors.NOWATCHER.number;
  }

  /** What has changed since it was read is told, the rest is watched again. */
  #restore({ body, sessionId }: ReceivedRequest): void {
    const request = readValue(operations.setWatches.request, new ByteReader(body), "watches");
    for (const kind of watchKinds.values()) {
      for (const path of request[kind]) {
        const seen = this.#seen.get(`${sessionId} ${kind} ${path}`) ?? this.#look(path, kind);
        this.#add({ sessionId, path, kind, seen });
      }
    }
    this.#tell();
  }

  #tell(): void {
    for (const watch of this.#watches.splice(0)) {
      const { path, kind, seen, sessionId } = watch;
      if (this.#look(path, kind) === seen) {
        this.#watches.push(watch);
        continue;
      }
      const type = this.#changeOf(watch);
      this.told.push(`${type} ${path}`);
      this.#connectionOf(sessionId)?.notify(watchEventTypes[type], path);
    }
  }

  #changeOf({
    path,
    kind,
    seen,
  }: ServerWatch): "created" | "deleted" | "dataChanged" | "childrenChanged" {
    if (!this.tree.nodes.has(path)) return "deleted";
    if (seen === "") return "created";
    return kind === "children" ? "childrenChanged" : "dataChanged";
  }

  #look(path: string, kind: ServerWatch["kind"]): string {
    const node = this.tree.nodes.get(path);
    if (node === undefined) return "";
    if (kind === "children") return `${node.stat.czxid}: ${this.tree.childrenOf(path).join()}`;
    return `${node.stat.czxid} ${node.stat.mzxid}`;
  }

  #connectionOf(
    sessionId: bigint,
  ): TestEnsemble["servers"][number]["connections"][number] | undefined {
    return this.ensemble.servers
      .flatMap(({ connections }) => connections)
      .findLast((connection) => connection.sessionId === sessionId);
  }
}

const watchKinds: ReadonlyMap<number, ServerWatch["kind"]> = new Map([
  [operations.getData.code, "data"],
  [operations.exists.code, "exists"],
  [operations.getChildren2.code, "children"],
]);
