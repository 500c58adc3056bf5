import { assert, deferred, Deque, EverholdError, type Deferred } from "@everhold/base";
import { ByteReader, ByteWriter } from "@everhold/wire";
import { refusedError } from "../errors.ts";
import { zooKeeperErrors } from "../protocol/error-codes.ts";
import { operations } from "../protocol/operations.ts";
import type { Stat } from "../protocol/stat.ts";
import type { RequestSpec, Requests, RequestWait } from "../session/request.ts";
import type { Notification, Restored } from "../session/session-hooks.ts";
import { newStat } from "../testing/stat.test-support.ts";
import type { WatchRequest } from "./watch-request.ts";
import { WatchTree, type ServerKind, type TreeNode } from "./watch-tree.test-support.ts";
import { Watches } from "./watches.ts";

/** A request on its way. */
interface Travelling {
  readonly code: number;
  readonly bytes: Uint8Array;
  readonly onReply: (zxid: bigint, errorCode: number, body: Uint8Array) => void;
  readonly onLost: () => void;
}

/** What is on its way to the client. */
type Arriving =
  | { readonly kind: "reply"; readonly deliver: () => void; readonly onLost: () => void }
  | {
      readonly kind: "notification";
      readonly notification: Notification;
      readonly isCatchUp: boolean;
      readonly changeZxid: bigint;
    };

/** What a read with a watch saw. */
export interface Read {
  readonly zxid: bigint;
  readonly node: TreeNode | undefined;
}

/**
 * A client's watches on one server, with everything between them in the test's hand: a request is sent, served and
 * answered, and a notification received, when the test says so.
 */
export class WatchWorld {
  readonly tree: WatchTree;
  readonly watches: Watches;
  readonly errors: unknown[] = [];
  /** The operations that the server was asked for, by their codes. */
  readonly served: number[] = [];
  /** Which error the server answers the next request of an operation with. */
  readonly refusals = new Map<number, number>();
  /** What the notification that is being told of is about, while it is. */
  telling: { readonly isCatchUp: boolean; readonly changeZxid: bigint } | undefined;
  lastZxid = 0n;
  isReady = true;
  /** Bytes of the largest request. */
  requestBytesMax = 0;
  /** The zxid of the answer that is being read. */
  #answeredZxid = 0n;
  readonly #kind: ServerKind;
  readonly #unsent = new Deque<() => void>();
  readonly #toServer = new Deque<Travelling>();
  readonly #toClient = new Deque<Arriving>();

  constructor(kind: ServerKind, partBytesMax?: number, watchCountMax = 1000) {
    this.#kind = kind;
    this.tree = new WatchTree(kind, (type, path, isCatchUp) => this.#notify(type, path, isCatchUp));
    this.watches = new Watches({
      requests: this.requests,
      ports: {
        monotonicClock: { nowMs: () => 0 },
        timers: { after: () => ({ cancel: () => undefined }), atTurnEnd: () => undefined },
      },
      onError: (error) => this.errors.push(error),
      watchCountMax,
      ...(partBytesMax === undefined ? {} : { partBytesMax }),
    });
  }

  get requests(): Requests {
    return { request: (spec, wait) => this.#request(spec, wait, this.#unsent) };
  }

  /** How much is under way: requests unsent, sent, and what comes back. */
  get pending(): readonly [number, number, number] {
    return [this.#unsent.length, this.#toServer.length, this.#toClient.length];
  }

  /** The next request leaves. */
  send(): void {
    if (this.isReady) this.#unsent.shift()?.();
  }

  /** The server does the next request. */
  serve(): void {
    const travelling = this.#toServer.shift();
    if (travelling !== undefined) this.#serve(travelling);
  }

  /** The client hears of the next thing. */
  receive(): void {
    const arriving = this.#toClient.shift();
    if (arriving === undefined) return;
    if (arriving.kind === "reply") return arriving.deliver();
    this.telling = arriving;
    this.watches.onNotification(arriving.notification);
    this.telling = undefined;
  }

  /** Everything that is under way arrives. */
  async settle(): Promise<void> {
    await turn();
    while (this.pending.some((count) => count > 0) && this.isReady) {
      this.send();
      this.serve();
      while (this.#toClient.length > 0) this.receive();
      await turn();
    }
  }

  /** The connection breaks: what has left gets no answer. */
  cut(): void {
    this.isReady = false;
    this.tree.forgetConnection();
    for (const arriving of this.#toClient.drain()) {
      if (arriving.kind === "reply") arriving.onLost();
    }
    for (const travelling of this.#toServer.drain()) travelling.onLost();
  }

  /** Another connection stands. `changes` is called when the requests that restore have left, before each is served. */
  async restore(
    sessionChanged: boolean,
    changes: () => void = () => undefined,
  ): Promise<Restored | void> {
    const unsent = new Deque<() => void>();
    const requests: Requests = { request: (spec, wait) => this.#request(spec, wait, unsent) };
    const restoring = { requests, epoch: 1, lastZxid: this.lastZxid };
    const done = sessionChanged
      ? this.watches.restoreNewSession(restoring)
      : this.watches.restoreSameSession(restoring);
    for (let send = unsent.shift(); send !== undefined; send = unsent.shift()) send();
    while (this.#toServer.length > 0) {
      changes();
      this.serve();
    }
    while (this.#toClient.length > 0) this.receive();
    const restored = await done;
    this.isReady = true;
    return restored;
  }

  /** Reads with a watch. What it saw, once it is answered. */
  async read(path: string, watch: WatchRequest): Promise<Read> {
    const operation = {
      data: operations.getData,
      exists: operations.exists,
      children: operations.getChildren2,
    }[watch.kind];
    const spec: RequestSpec<Read> = {
      operation,
      path,
      watch,
      encode: (writer, asksForWatch) =>
        operation.request.write(writer, { path, watch: asksForWatch }, 0),
      decode: (reader, { zxid }) => {
        const { stat } = operation.reply.read(reader, 0);
        return { zxid, node: { czxid: stat.czxid, mzxid: stat.mzxid, pzxid: stat.pzxid } };
      },
      recover: (errorCode) =>
        errorCode === zooKeeperErrors.NONODE.number && watch.kind === "exists"
          ? { value: { zxid: this.#answeredZxid, node: undefined } }
          : undefined,
    };
    return this.requests.request(spec, { deadlineMs: Infinity });
  }

  #notify(type: number, path: string, isCatchUp: boolean): void {
    const zxid = this.#kind === "manyModes" && !isCatchUp ? this.tree.zxid : undefined;
    const notification = { type, state: 3, path, zxid };
    this.#toClient.push({
      kind: "notification",
      notification,
      isCatchUp,
      changeZxid: this.tree.zxid,
    });
  }

  #request<T>(spec: RequestSpec<T>, wait: RequestWait, unsent: Deque<() => void>): Promise<T> {
    const answer: Deferred<T> = deferred();
    const send = (): void => {
      const { path = "", watch } = spec;
      const wasAsked = watch !== undefined && this.watches.asksServer(path, watch);
      const writer = new ByteWriter();
      spec.encode(writer, wasAsked);
      this.requestBytesMax = Math.max(this.requestBytesMax, writer.offset);
      const onReply = (zxid: bigint, errorCode: number, body: Uint8Array): void => {
        const header = { xid: 1, zxid, errorCode };
        this.#answeredZxid = zxid;
        if (zxid > this.lastZxid) this.lastZxid = zxid;
        if (watch !== undefined) this.watches.onWatchedReply(path, watch, { header, wasAsked });
        if (errorCode === 0) return answer.resolve(spec.decode(new ByteReader(body), header));
        const recovered = spec.recover?.(errorCode, header);
        if (recovered === undefined) answer.reject(refusedError(spec, errorCode));
        else answer.resolve(recovered.value);
      };
      this.#toServer.push({
        code: spec.operation.code,
        bytes: writer.toBytes(),
        onReply,
        onLost: () => answer.reject(lostError()),
      });
    };
    const leave = (): void => {
      if (wait.signal?.aborted !== true) return send();
      answer.reject(new EverholdError("EVH_ABORTED", "Cannot do it: the signal was aborted"));
    };
    unsent.push(leave);
    return answer.promise;
  }

  #serve({ code, bytes, onReply, onLost }: Travelling): void {
    this.served.push(code);
    const writer = new ByteWriter();
    const refusal = this.refusals.get(code);
    this.refusals.delete(code);
    const errorCode = refusal ?? this.#perform(code, new ByteReader(bytes), writer);
    const { zxid } = this.tree;
    const body = errorCode === 0 ? writer.toBytes() : new Uint8Array(0);
    this.#toClient.push({ kind: "reply", deliver: () => onReply(zxid, errorCode, body), onLost });
  }

  #perform(code: number, reader: ByteReader, writer: ByteWriter): number {
    const { tree } = this;
    switch (code) {
      case operations.addWatch.code: {
        const { path, mode } = operations.addWatch.request.read(reader, 0);
        tree.addWatch(path, mode);
        operations.addWatch.reply.write(writer, { errorCode: 0 }, 0);
        return 0;
      }
      case operations.removeWatches.code: {
        const { path } = operations.removeWatches.request.read(reader, 0);
        return tree.removeWatches(path) ? 0 : zooKeeperErrors.NOWATCHER.number;
      }
      case operations.setWatches.code:
        tree.setWatches(operations.setWatches.request.read(reader, 0));
        return 0;
      case operations.setWatches2.code: {
        const request = operations.setWatches2.request.read(reader, 0);
        tree.setWatches(request);
        for (const path of request.persistent) tree.addWatch(path, 0);
        for (const path of request.persistentRecursive) tree.addWatch(path, 1);
        return 0;
      }
      default:
        return this.#readNode(code, reader, writer);
    }
  }

  #readNode(code: number, reader: ByteReader, writer: ByteWriter): number {
    const { path, watch } = operations.exists.request.read(reader, 0);
    const node = this.tree.nodes.get(path);
    const isOfChildren = code === operations.getChildren2.code;
    if (node === undefined) {
      if (watch && code === operations.exists.code) this.tree.watchData(path);
      return zooKeeperErrors.NONODE.number;
    }
    if (watch && isOfChildren) this.tree.watchChildren(path);
    if (watch && !isOfChildren) this.tree.watchData(path);
    const stat = { ...statOf(node), numChildren: this.tree.childrenOf(path).length };
    if (code === operations.exists.code) operations.exists.reply.write(writer, { stat }, 0);
    else if (code === operations.getData.code) {
      operations.getData.reply.write(writer, { data: null, stat }, 0);
    } else {
      assert(isOfChildren, "only reads leave watches");
      const children = this.tree.childrenOf(path);
      operations.getChildren2.reply.write(writer, { children, stat }, 0);
    }
    return 0;
  }
}

/** Everything that waits for nothing else happens. */
export async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

function lostError(): EverholdError {
  return new EverholdError("EVH_DISCONNECTED", "The connection broke", { outcome: "unknown" });
}

function statOf({ czxid, mzxid, pzxid }: TreeNode): Stat {
  return { ...newStat(czxid), mzxid, pzxid };
}
