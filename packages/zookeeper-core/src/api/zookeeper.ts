import { EverholdError } from "@everhold/base";
import { checkTimeout, type WaitOptions } from "@everhold/env";
import type { Lease, LeaseTiming } from "../lease/lease.ts";
import { limits } from "../limits.ts";
import type { HeldNode } from "../managed/held-node.ts";
import type { HeldNodes, HoldOptions } from "../managed/held-nodes.ts";
import { runInSession } from "../managed/in-session.ts";
import type { Acl } from "../protocol/acl.ts";
import { readServers } from "../options.ts";
import { operations } from "../protocol/operations.ts";
import { joinPath } from "../protocol/paths.ts";
import type { Identity } from "../protocol/records.ts";
import type { Stat } from "../protocol/stat.ts";
import type { Session } from "../session/session.ts";
import type { SessionEvent, SessionEvents, SessionState } from "../session/states.ts";
import { steadyEvents } from "../session/steady-events.ts";
import type { OneShotKind } from "../watches/one-shot-watches.ts";
import { checkWatchesSpec } from "../watches/watch-requests.ts";
import type { WatchEvent, WatchRequest } from "../watches/watch-request.ts";
import { WatchStream } from "../watches/watch-stream.ts";
import type { Watches } from "../watches/watches.ts";
import { Caller } from "./caller.ts";
import { createNode, type Created, type CreateOptions } from "./create.ts";
import { deleteNode, type DeleteOptions } from "./delete.ts";
import {
  type EnsembleChange,
  readEnsembleConfig,
  type ReconfigOptions,
  reconfigure,
} from "./ensemble.ts";
import type { EnsembleConfig } from "./ensemble-config.ts";
import {
  type MultiResultsOf,
  type ReadOutcome,
  type ReadOutcomesOf,
  runMulti,
  runMultiRead,
} from "./multi.ts";
import type { MultiOperation, MultiReadOperation } from "./multi-operations.ts";
import {
  checkAcl,
  checkPath,
  type NodeData,
  optionError,
  type RequestOptions,
  type VersionOptions,
  versionOf,
} from "./request-options.ts";
import { existsSpec, readSpec, requestSpec } from "./request-spec.ts";
import { bounded } from "./retry-loop.ts";
import type { RetryPolicy } from "./retry-policy.ts";
import { setData, type SetDataOptions } from "./set-data.ts";

/** How to read. */
export interface ReadOptions extends RequestOptions {
  /**
   * Whether what is read is at least as new as everything that was finished anywhere before the call: the server asks
   * the leader first (`sync`). Default false: a server may be behind, though never behind what this client has seen.
   */
  readonly fresh?: boolean;
}

/** How to read, and be told when that has become old. */
export interface WatchedReadOptions extends ReadOptions {
  /**
   * Called once when what was read has changed, whatever happens to connection and session meanwhile; then read again.
   * The same function on the same path is called once for many reads. Called with `closed` when the client is closed.
   * What it throws, or a promise of its rejects with, is told by the event `error`.
   */
  readonly watch?: WatchFunction;
}

/** Called once by a watch that tells once. */
export type WatchFunction = (event: WatchEvent) => void;

/** Which watches of a function on a path are meant. */
export interface WatchKindOptions {
  /** `data` for those of `getData` and `exists`, `children` for those of `getChildren`. Default: all. */
  readonly kind?: OneShotKind;
}

/** How to watch for good. */
export interface WatchOptions extends RequestOptions {
  /** Whether to hear of everything below the path, too. Default false. */
  readonly recursive?: boolean;
}

/** Data and stat of a node. */
export interface NodeContent {
  /** A copy that is the caller's; null where null was written, or nothing by some clients. */
  readonly data: Uint8Array | null;
  readonly stat: Stat;
}

/** The children of a node, and its own stat. */
export interface NodeChildren {
  /** Names without the path, in no order. */
  readonly children: readonly string[];
  readonly stat: Stat;
}

/** How to take a lease. */
export interface LeaseOptions extends LeaseTiming, WaitOptions {
  /** The node that it stands on, as one that proves leadership: where it is gone, the lease ends. Default: none. */
  readonly path?: string;
  /** The version that the node must have. Default: any. */
  readonly version?: number;
}

/** One session of a client, for work that must not go on in another one. */
export interface BoundSession {
  /** The same client, whose calls fail with EVH_SESSION_EXPIRED once this session is over. */
  readonly client: ZooKeeper;
  /** Counts the client's sessions, from 1. */
  readonly epoch: number;
  /** The `ephemeralOwner` of what is created in it. */
  readonly sessionId: bigint;
  /** Milliseconds after which the servers end a session that they do not hear of. */
  readonly sessionTimeout: number;
  /** Aborted when the session is given up, or the work has ended: a notification, which comes late to who stands still. */
  readonly signal: AbortSignal;
  /** Takes a lease, which proves at the moment of acting that the session is not over. See {@link Lease}. */
  readonly lease: (options?: LeaseOptions) => Promise<Lease>;
}

/** How to be told of events. */
export interface EventsOptions {
  /**
   * Keeps back that the connection comes and goes: after a `suspended`, which is told at once, neither `suspended` nor
   * `reconnected` is told before the policy's pause is over, and then only that a server is connected again, if one is;
   * otherwise the policy is asked for another pause, and when it gives up nothing is kept back until the next break.
   * `lost` is never kept back, nor the session after it. Default: everything is told as it happens.
   */
  readonly steady?: RetryPolicy;
}

/** What a {@link ZooKeeper} stands on; shared by all its namespaces. */
export interface ZooKeeperParts {
  readonly session: Session;
  readonly watches: Watches;
  /** The path of the connect string. */
  readonly chroot: string;
  readonly nodes: HeldNodes;
  /** Ends the pauses between attempts. */
  readonly closing: AbortController;
}

/**
 * A client of a ZooKeeper ensemble. It stays connected until `close()`, over all failures of servers, and over the end
 * of its session, after which it has another one in the next `epoch`.
 *
 * Every call that fails rejects with an `EverholdError`, most with a {@link ZooKeeperError}: branch on its `code`, and
 * for what the server refused on its `reason`, ZooKeeper's own name. `outcome` says whether a change may have taken
 * effect: `none` or `unknown`. What can do no harm twice is tried again by itself: what was never sent, what a server
 * refused to take, reads, and changes with `expected`. All else with an unknown outcome is the caller's to decide.
 */
export class ZooKeeper {
  readonly #parts: ZooKeeperParts;
  readonly #caller: Caller;

  /** Made by `connect`. */
  constructor(parts: ZooKeeperParts, caller: Caller) {
    this.#parts = parts;
    this.#caller = caller;
  }

  /** What can be counted on now. */
  get state(): SessionState {
    return this.#parts.session.state;
  }

  /** Counts the sessions that this client has had, from 1; 0 before the first. */
  get epoch(): number {
    return this.#parts.session.epoch;
  }

  /** The session's id: `ephemeralOwner` of its ephemeral nodes; 0n while there is none. Whoever knows it can end the session. */
  get sessionId(): bigint {
    return this.#parts.session.sessionId;
  }

  /** Milliseconds after which the servers end a session that they do not hear of, as they grant it. */
  get sessionTimeout(): number {
    return this.#parts.session.sessionTimeoutMs;
  }

  /** The server that is connected, as `host:port`; `undefined` while none is. */
  get server(): string | undefined {
    return this.#parts.session.server;
  }

  /**
   * Everything that happens to the session from now on; ends when the client is closed. With `steady` a connection that
   * comes and goes is told of once: see {@link EventsOptions}.
   */
  events({ steady }: EventsOptions = {}): AsyncIterableIterator<SessionEvent> {
    const { session } = this.#parts;
    if (steady === undefined) return session.events();
    if (typeof steady !== "function") {
      throw optionError("tell events", "steady", steady, "a policy, as retries.exponential()");
    }
    // Who has ended, or is about to, has nothing to keep back.
    if (session.ending.aborted) return session.events();
    return steadyEvents({
      ports: this.#caller.context.ports,
      policy: steady,
      listen: (listener) => session.listen(listener),
      onError: (error) => session.reportError(error),
    });
  }

  /** Calls `listener` at each event of one type, until the returned function is called. */
  on<K extends keyof SessionEvents>(
    type: K,
    listener: (event: Extract<SessionEvent, { readonly type: K }>) => void,
  ): () => void {
    return this.#parts.session.on(type, listener);
  }

  /**
   * Waits until requests leave. Calls do so by themselves.
   * @throws EverholdError EVH_NOT_CONNECTED, EVH_CLOSED, EVH_SECURITY, EVH_ABORTED
   */
  ready(wait: WaitOptions = {}): Promise<void> {
    const { deadlineMs, signal } = this.#bounded(wait);
    return this.#parts.session.ready({ deadlineMs, signal });
  }

  /**
   * Creates a node. Default for `data`: no bytes.
   *
   * Where the connection breaks before the answer, it rejects with the outcome `unknown`; a sequential node may then
   * exist under a name that nobody knows.
   *
   * @throws ZooKeeperError with reason NODEEXISTS, NONODE (of its parent), NOCHILDRENFOREPHEMERALS, NOAUTH, …
   * @example
   * const { path } = await client.create("/orders/order-", "two apples", { mode: "persistentSequential", parents: true });
   */
  create(path: string, data: NodeData = "", options: CreateOptions = {}): Promise<Created> {
    return createNode(this.#caller, path, data, options);
  }

  /** Deletes a node. @throws ZooKeeperError with reason NONODE, NOTEMPTY, BADVERSION, … */
  delete(path: string, options: DeleteOptions = {}): Promise<void> {
    return deleteNode(this.#caller, path, options);
  }

  /** The node's stat; null where there is no node, and only then. A `watch` tells when it is created, too. */
  async exists(path: string, options: WatchedReadOptions = {}): Promise<Stat | null> {
    const serverPath = this.#caller.serverPath(operations.exists.name, path);
    return this.#caller.read(
      existsSpec(serverPath, this.#watchOf("exists", path, options)),
      options,
    );
  }

  /** Reads data. @throws ZooKeeperError with reason NONODE, NOAUTH, … */
  async getData(path: string, options: WatchedReadOptions = {}): Promise<NodeContent> {
    const { name } = operations.getData;
    const serverPath = this.#caller.serverPath(name, path);
    const watch = this.#watchOf("data", path, options);
    return this.#caller.read(readSpec(operations.getData, serverPath, watch), options);
  }

  /** Writes data; gives the stat after it. @throws ZooKeeperError with reason NONODE, BADVERSION, NOAUTH, … */
  setData(path: string, data: NodeData, options: SetDataOptions = {}): Promise<Stat> {
    return setData(this.#caller, path, data, options);
  }

  /** Lists the names of children. @throws ZooKeeperError with reason NONODE, NOAUTH, … */
  async getChildren(path: string, options: WatchedReadOptions = {}): Promise<NodeChildren> {
    const operation = operations.getChildren2;
    const serverPath = this.#caller.serverPath(operation.name, path);
    const watch = this.#watchOf("children", path, options);
    return this.#caller.read(readSpec(operation, serverPath, watch), options);
  }

  /** Reads the access list, and the stat with its `aversion`. */
  async getAcl(
    path: string,
    options: ReadOptions = {},
  ): Promise<{ readonly acl: readonly Acl[]; readonly stat: Stat }> {
    const serverPath = this.#caller.serverPath(operations.getAcl.name, path);
    const spec = requestSpec(operations.getAcl, { path: serverPath }, serverPath);
    return this.#caller.read(spec, options);
  }

  /** Changes the access list. `version` is compared with the stat's `aversion`. */
  async setAcl(
    path: string,
    acl: readonly Acl[],
    options: Omit<VersionOptions, "expected"> = {},
  ): Promise<Stat> {
    const operation = operations.setAcl;
    const serverPath = this.#caller.serverPath(operation.name, path);
    checkAcl(operation.name, acl);
    const aversion = versionOf(operation.name, options);
    const spec = requestSpec(operation, { path: serverPath, acl, aversion }, serverPath);
    return (await this.#caller.call(spec, options, "once")).stat;
  }

  /**
   * Does all of a list, or nothing; see {@link ops}. Where one operation is refused, nothing has happened, and the
   * error's `opIndex` says which. Where no answer comes the outcome is `unknown`, for all of them together.
   */
  multi<const Operations extends readonly MultiOperation<unknown>[]>(
    list: Operations,
    options?: RequestOptions,
  ): Promise<MultiResultsOf<Operations>>;
  multi(
    list: readonly MultiOperation<unknown>[],
    options: RequestOptions = {},
  ): Promise<readonly unknown[]> {
    return runMulti(this.#caller, list, options);
  }

  /** Reads all of a list in one request; each read succeeds or fails by itself. From ZooKeeper 3.6 on. */
  multiRead<const Reads extends readonly MultiReadOperation<unknown>[]>(
    list: Reads,
    options?: ReadOptions,
  ): Promise<ReadOutcomesOf<Reads>>;
  async multiRead(
    list: readonly MultiReadOperation<unknown>[],
    options: ReadOptions = {},
  ): Promise<readonly ReadOutcome<unknown>[]> {
    return runMultiRead(this.#caller, list, options);
  }

  /** Brings the connected server up to the leader: what is read later is at least as new as this call. */
  async sync(path = "/", options: RequestOptions = {}): Promise<void> {
    const serverPath = this.#caller.serverPath(operations.sync.name, path);
    const spec = requestSpec(operations.sync, { path: serverPath }, serverPath);
    await this.#caller.call(spec, options, "repeatable");
  }

  /** The paths of the session's own ephemeral nodes at and below `path`. From ZooKeeper 3.6 on. */
  async getEphemerals(path = "/", options: RequestOptions = {}): Promise<readonly string[]> {
    const operation = operations.getEphemerals;
    const prefix = this.#caller.serverPath(operation.name, path);
    const spec = requestSpec(operation, { prefix }, prefix);
    const { paths } = await this.#caller.call(spec, options, "repeatable");
    // The server compares texts: what it finds for /a may be /apple.
    const below = prefix === "/" ? "/" : `${prefix}/`;
    return paths
      .filter((one) => one === prefix || one.startsWith(below))
      .map((one) => this.#caller.callerPath(one));
  }

  /** How many nodes there are below `path`, at any depth. From ZooKeeper 3.6 on. */
  async countDescendants(path: string, options: RequestOptions = {}): Promise<number> {
    const operation = operations.countDescendants;
    const serverPath = this.#caller.serverPath(operation.name, path);
    const spec = requestSpec(operation, { path: serverPath }, serverPath);
    return (await this.#caller.call(spec, options, "repeatable")).count;
  }

  /** Who the server says that this connection is, by each scheme. From ZooKeeper 3.7 on. */
  async whoAmI(options: RequestOptions = {}): Promise<readonly Identity[]> {
    const spec = requestSpec(operations.whoAmI, {});
    return (await this.#caller.call(spec, options, "repeatable")).identities;
  }

  /** The ensemble's configuration; namespaces and chroots make no difference. */
  getConfig(options: ReadOptions = {}): Promise<EnsembleConfig> {
    return readEnsembleConfig(this.#caller, options);
  }

  /** Changes the ensemble, where the servers allow it; gives the configuration after it. */
  reconfig(change: EnsembleChange, options: ReconfigOptions = {}): Promise<EnsembleConfig> {
    return reconfigure(this.#caller, change, options);
  }

  /**
   * Adds an identity to this connection and all that follow. A text is sent as UTF-8. With the scheme `digest` it is
   * `user:password`, in clear: use TLS.
   *
   * @throws ZooKeeperError EVH_SECURITY when the server does not know the scheme; that ends the client, too
   * @throws EverholdError EVH_TIMEOUT, EVH_ABORTED: later connections are not given it then
   */
  async addAuth(scheme: string, auth: string | Uint8Array, wait: WaitOptions = {}): Promise<void> {
    if (typeof scheme !== "string" || scheme === "") {
      throw optionError("add an identity", "scheme", scheme, "a name, as digest");
    }
    const bytes = typeof auth === "string" ? new TextEncoder().encode(auth) : new Uint8Array(auth);
    const { deadlineMs, signal } = this.#bounded(wait);
    await this.#parts.session.addAuth({ scheme, auth: bytes }, { deadlineMs, signal });
  }

  /**
   * Connects to the servers of this connect string from now on, with the same session and the same options. The one
   * that is connected is left where it is not among them; and where there are more than before, a share of all clients
   * goes to those that are new, so that in the end every server has about as many. It is left when it has answered what
   * it was asked, within 5 s. The path behind the servers must be that of `connect`.
   *
   * @throws EverholdError EVH_URL, EVH_CONFIG
   */
  updateServerList(connectString: string): void {
    const servers = readServers(connectString, this.#parts.chroot);
    this.#parts.session.useServers(servers);
  }

  /**
   * Watches a node, or with `recursive` everything at and below it, until the watch is closed. It outlives connections
   * and sessions; after each reconnect it gives a `gap`, because what happened meanwhile is not told. The node need not
   * exist. From ZooKeeper 3.6 on.
   *
   * @example
   * const watch = await client.watch("/orders", { recursive: true });
   * for await (const { type, path } of watch) console.log(type, path);
   */
  async watch(path: string, options: WatchOptions = {}): Promise<WatchStream> {
    const serverPath = this.#caller.serverPath("watch", path);
    const { recursive = false } = options;
    const stream = {
      path: serverPath,
      recursive,
      toPath: (one: string) => this.#caller.callerPath(one),
      unreadCountMax: limits.unreadNoticeCountMax,
    };
    const { watches } = this.#parts;
    watches.checkRoom(path);
    return this.#caller.attempts(options, "repeatable", (wait) =>
      WatchStream.open(watches, stream, wait),
    );
  }

  /**
   * Takes back a watch that tells once, by the function that a read was given: it is told nothing any more. Whether it
   * waited there. What others wait for at the path is not touched; where nobody does the server is told, in the
   * background. A read that is not answered yet has no watch to take back.
   * @throws EverholdError EVH_CONFIG
   */
  removeWatch(path: string, watch: WatchFunction, options: WatchKindOptions = {}): boolean {
    const attempt = "remove a watch of";
    const serverPath = this.#caller.serverPath(attempt, path);
    checkWatch(attempt, watch);
    return this.#parts.watches.removeOnce(serverPath, watch, kindOf(attempt, options));
  }

  /** Whether a watch that tells once waits at a path, by the function that a read was given. Asks no server. */
  hasWatch(path: string, watch: WatchFunction, options: WatchKindOptions = {}): boolean {
    const attempt = "look for a watch of";
    const serverPath = this.#caller.serverPath(attempt, path);
    checkWatch(attempt, watch);
    return this.#parts.watches.hasOnce(serverPath, watch, kindOf(attempt, options));
  }

  /**
   * Asks the server whether it holds a watch of this client at a path, whoever in the client it is for. One that stays
   * may hold those that tell once, so that the answer is for finding errors: {@link hasWatch} says who waits.
   */
  async checkWatches(
    path: string,
    options: RequestOptions & WatchKindOptions = {},
  ): Promise<boolean> {
    const { name } = operations.checkWatches;
    const serverPath = this.#caller.serverPath(name, path);
    const spec = checkWatchesSpec(serverPath, kindOf(name, options));
    return this.#caller.call(spec, options, "repeatable");
  }

  /**
   * Holds an ephemeral node: it is made again by itself in the next session when one is over, before the event
   * `reconnected`, and when somebody deletes it. A node of somebody else at the path is never touched. Resolves when it
   * is there; the options say how long to wait for that. Not for the client of {@link inSession}, because what is held
   * outlives sessions.
   *
   * @throws ZooKeeperError with reason NODEEXISTS, NONODE (of its parent), NOAUTH, …
   * @throws EverholdError EVH_ILLEGAL_STATE when this client holds it already, or is that of one session
   * @example
   * const registration = await client.hold("/members/me", "10.0.0.7:5672", { parents: true });
   * registration.on("conflict", ({ owner }) => console.warn(`another one is registered, by session ${owner}`));
   */
  async hold(path: string, data: NodeData = "", options: HoldOptions = {}): Promise<HeldNode> {
    if (this.#caller.context.epoch !== undefined) throw heldInOneSession(path);
    const wait = this.#bounded(options);
    return this.#parts.nodes.hold(this.#caller, { path, data, options }, wait);
  }

  /**
   * Does `work` in one session, the one there is or the next: its calls fail once the client is in another one, and
   * where the session is over by the time that `work` has ended, this rejects with EVH_SESSION_EXPIRED, whatever `work`
   * gave. It settles when `work` has. The options say how long to wait for the session.
   *
   * @example
   * await client.inSession(async ({ client, lease }) => {
   *   const { stat } = await client.create("/leader", "me", { mode: "ephemeral" });
   *   const held = await lease({ path: "/leader", version: stat.version });
   *   while (held.isHeld()) await workAsLeader(stat.czxid, held.signal);
   * });
   */
  inSession<T>(
    work: (bound: BoundSession) => T | Promise<T>,
    options: WaitOptions = {},
  ): Promise<T> {
    const { session } = this.#parts;
    const { requests, context, prefix } = this.#caller;
    const parts = { session, requests, ports: context.ports };
    const bound = { ...this.#bounded(options), epoch: context.epoch };
    return runInSession(parts, bound, ({ scope, takeLease }) => {
      const { epoch, sessionId, sessionTimeout, signal } = scope;
      const client = new ZooKeeper(
        this.#parts,
        new Caller(requests, { ...context, epoch }, prefix),
      );
      const lease = (leaseOptions: LeaseOptions = {}): Promise<Lease> => {
        const { path, version = -1, tickTime, renewInterval, ...wait } = leaseOptions;
        const node =
          path === undefined
            ? undefined
            : {
                path: this.#caller.serverPath("take a lease on", path),
                shownPath: path,
                version,
              };
        const timing = {
          ...(tickTime === undefined ? {} : { tickTime }),
          ...(renewInterval === undefined ? {} : { renewInterval }),
        };
        return takeLease({ node, wait: this.#bounded(wait), ...timing });
      };
      return work({ client, epoch, sessionId, sessionTimeout, signal, lease });
    });
  }

  /** The same client with `path` before every path. It shares the session, and everything of it. */
  namespace(path: string): ZooKeeper {
    const { requests, context, prefix } = this.#caller;
    checkPath("make a namespace of", path);
    const inner = path === "/" ? prefix : joinPath(prefix, path);
    return new ZooKeeper(this.#parts, new Caller(requests, context, inner));
  }

  /**
   * Ends the session, and with it its ephemeral nodes, then the connection; for all namespaces. Waits at most
   * `timeout` for a server and the `sessionStore`, by default a session timeout, no more than 5 s, for a server and 5 s
   * for the store; where no server answers, they end the session when its time is over. Idempotent.
   */
  async close(wait: WaitOptions = {}): Promise<void> {
    // Before anything ends: it is closed once, and with a wait that can't be it never would.
    checkTimeout(wait.timeout, Infinity);
    this.#parts.closing.abort();
    await this.#parts.session.close(wait);
  }

  /** As {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** For recipes: the calls of a client, below its namespace. */
  static callerOf(client: ZooKeeper): Caller {
    return client.#caller;
  }

  /** For recipes: what tells the client's listeners of an error that no call waits for. */
  static reporterOf(client: ZooKeeper): (error: unknown) => void {
    return (error) => client.#parts.session.reportError(error);
  }

  /** For recipes: the watches of a client, of which some must be told in the order of what came over the wire. */
  static watchesOf(client: ZooKeeper): Watches {
    return client.#parts.watches;
  }

  /** For recipes: resolves when what this client held at a path and gives up is gone; at once where there is no such. */
  static whenLetGo(client: ZooKeeper, path: string): Promise<void> {
    const serverPath = client.#caller.serverPath("hold", path);
    return client.#parts.nodes.whenLetGo(serverPath, { deadlineMs: Infinity, signal: undefined });
  }

  #watchOf(
    kind: WatchRequest["kind"],
    path: string,
    options: WatchedReadOptions,
  ): WatchRequest | undefined {
    const { watch } = options;
    if (watch === undefined) return undefined;
    checkWatch("watch", watch);
    const { session, watches } = this.#parts;
    watches.checkRoom(path);
    const onEvent = (event: WatchEvent): void => {
      const told = { ...event, path: this.#caller.callerPath(event.path) };
      // What one with `async` rejects with would end the process.
      reportRejection(watch(told), (error) => session.reportError(error));
    };
    return { kind, onEvent, owner: watch };
  }

  #bounded({ timeout, signal }: WaitOptions): {
    readonly deadlineMs: number;
    readonly signal: AbortSignal | undefined;
  } {
    const options = timeout === undefined ? {} : { timeout };
    return { deadlineMs: bounded(this.#caller.context, options).deadlineMs ?? Infinity, signal };
  }
}

/** Calls of a client that are bound to one session end with it; what is held does not. */
function heldInOneSession(path: string): EverholdError {
  return new EverholdError(
    "EVH_ILLEGAL_STATE",
    `Cannot hold ${path} in one session: what is held outlives sessions; ` +
      'hold it by the client itself, or create it with the mode "ephemeral"',
  );
}

function checkWatch(attempt: string, watch: WatchFunction): void {
  if (typeof watch !== "function") throw optionError(attempt, "watch", watch, "a function");
}

function kindOf(attempt: string, { kind }: WatchKindOptions): OneShotKind | undefined {
  if (kind === undefined || kind === "data" || kind === "children") return kind;
  throw optionError(attempt, "kind", kind, '"data" or "children"');
}

/** What a callback gave may be a promise, though nobody awaits it. */
function reportRejection(returned: unknown, report: (error: unknown) => void): void {
  if (returned instanceof Promise) returned.catch(report);
}
