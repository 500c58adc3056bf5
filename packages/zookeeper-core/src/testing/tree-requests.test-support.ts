import { ByteReader, ByteWriter, readValue } from "@everhold/wire";
import { refusedError, ZooKeeperError } from "../errors.ts";
import { createModes } from "../protocol/create-mode.ts";
import { reasonOf, zooKeeperErrors, type ZooKeeperReason } from "../protocol/error-codes.ts";
import type { MultiPart, MultiResult } from "../protocol/multi.ts";
import { operations } from "../protocol/operations.ts";
import { nameOf, parentOf } from "../protocol/paths.ts";
import type { CreateRequest } from "../protocol/records.ts";
import type { Stat } from "../protocol/stat.ts";
import type { Requests, RequestSpec, RequestWait } from "../session/request.ts";
import { bytesOf } from "./bytes.test-support.ts";
import { newStat } from "./stat.test-support.ts";

/**
 * What happens to a request: `lost` never arrives, `unanswered` does, `late` when three more have been sent; the client
 * can't tell these apart.
 */
export type Fate = "answered" | "unsent" | "lost" | "unanswered" | "late" | ZooKeeperReason;

/** A request as it left. */
export interface SeenRequest {
  readonly name: string;
  readonly path: string | undefined;
  readonly wait: RequestWait;
}

interface TreeNode {
  data: Uint8Array | null;
  stat: Stat;
  childCount: number;
  flags: number;
}

interface LateExecution {
  /** How many requests have been sent when it arrives. */
  readonly dueCount: number;
  readonly execute: () => void;
}

class Refusal extends Error {
  readonly reason: ZooKeeperReason;

  constructor(reason: ZooKeeperReason) {
    super(reason);
    this.reason = reason;
  }
}

/** A server's tree behind the seam of requests: each is written, read by the server's side, and back. */
export class TreeRequests implements Requests {
  readonly nodes = new Map<string, TreeNode>();
  readonly seen: SeenRequest[] = [];
  /** Decides about each request, before it takes effect. */
  fate: (request: SeenRequest) => Fate = () => "answered";
  /** Runs before each request arrives: what others do meanwhile. */
  meanwhile: (request: SeenRequest) => void = () => undefined;
  /** The session in which ephemeral nodes are created. */
  sessionId = 1n;
  readonly #late: LateExecution[] = [];
  #zxid = 0n;

  constructor() {
    this.nodes.set("/", { data: null, stat: newStat(0n), childCount: 0, flags: 0 });
  }

  async request<T>(spec: RequestSpec<T>, wait: RequestWait): Promise<T> {
    const { name } = spec.operation;
    const seen = { name, path: spec.path, wait };
    this.seen.push(seen);
    await Promise.resolve();
    const fate = this.fate(seen);
    if (fate === "unsent") throw lossOf(spec, "EVH_UNSENT");
    this.meanwhile(seen);
    this.#executeLate();
    if (fate === "late") this.#late.push(this.#laterExecution(spec));
    if (fate === "late" || fate === "lost") throw lossOf(spec, "EVH_DISCONNECTED");
    if (fate !== "answered" && fate !== "unanswered") {
      return this.#refuse(spec, fate);
    }
    const writer = new ByteWriter();
    spec.encode(writer, false);
    try {
      const body = this.#execute(spec.operation.code, new ByteReader(writer.toBytes()));
      if (fate === "unanswered") throw lossOf(spec, "EVH_DISCONNECTED");
      const header = { xid: 1, zxid: this.#zxid, errorCode: 0 };
      return spec.decode(new ByteReader(body, { strict: true }), header);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (fate === "unanswered") throw lossOf(spec, "EVH_DISCONNECTED");
      return this.#refuse(spec, error.reason);
    }
  }

  /** The answer's body to a request as it came over a wire, or the number of an error. */
  answer(code: number, body: Uint8Array): Uint8Array | number {
    try {
      return this.#execute(code, new ByteReader(body));
    } catch (error) {
      if (error instanceof Refusal) return zooKeeperErrors[error.reason].number;
      throw error;
    }
  }

  /** The session's ephemeral nodes go. */
  expire(sessionId: bigint): void {
    for (const [path, node] of [...this.nodes]) {
      if (node.stat.ephemeralOwner === sessionId) this.nodes.delete(path);
    }
  }

  /** What is at `path`, as text. */
  textAt(path: string): string | undefined {
    const node = this.nodes.get(path);
    return node === undefined ? undefined : new TextDecoder().decode(node.data ?? undefined);
  }

  /** The names of requests since the last call. */
  takeNames(): string[] {
    return this.seen.splice(0).map(({ name, path }) => `${name} ${path ?? ""}`.trim());
  }

  create(path: string, data: Uint8Array | null = null, flags = 0): Stat {
    const parentPath = parentOf(path);
    const parent = parentPath === undefined ? undefined : this.nodes.get(parentPath);
    if (parent === undefined) throw new Refusal("NONODE");
    if (this.nodes.has(path)) throw new Refusal("NODEEXISTS");
    const isEphemeral = flags === 1 || flags === 3;
    const ephemeralOwner = isEphemeral ? this.sessionId : 0n;
    const stat = { ...newStat((this.#zxid += 1n)), ephemeralOwner };
    this.nodes.set(path, { data, stat, childCount: 0, flags });
    parent.childCount += 1;
    return stat;
  }

  write(path: string, data: Uint8Array | null, version = -1): Stat {
    const node = this.#versioned(path, version);
    node.data = data;
    this.#zxid += 1n;
    node.stat = { ...node.stat, version: (node.stat.version + 1) | 0, mzxid: this.#zxid };
    return node.stat;
  }

  delete(path: string, version = -1): void {
    this.#versioned(path, version);
    if (this.childrenOf(path).length > 0) throw new Refusal("NOTEMPTY");
    this.#zxid += 1n;
    this.nodes.delete(path);
  }

  childrenOf(path: string): string[] {
    return [...this.nodes.keys()].filter((one) => parentOf(one) === path).map(nameOf);
  }

  #laterExecution(spec: RequestSpec<unknown>): LateExecution {
    const writer = new ByteWriter();
    spec.encode(writer, false);
    return {
      dueCount: this.seen.length + 3,
      execute: () => void this.#execute(spec.operation.code, new ByteReader(writer.toBytes())),
    };
  }

  #executeLate(): void {
    while ((this.#late[0]?.dueCount ?? Infinity) <= this.seen.length) {
      try {
        this.#late.shift()?.execute();
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
      }
    }
  }

  #refuse<T>(spec: RequestSpec<T>, reason: ZooKeeperReason): T {
    const errorNumber = zooKeeperErrors[reason].number;
    const header = { xid: 1, zxid: this.#zxid, errorCode: errorNumber };
    const recovered = spec.recover?.(errorNumber, header);
    if (recovered === undefined) throw refusedError(spec, errorNumber);
    return recovered.value;
  }

  #versioned(path: string, version: number): TreeNode {
    const node = this.#node(path);
    if (version !== -1 && version !== node.stat.version) throw new Refusal("BADVERSION");
    return node;
  }

  #node(path: string): TreeNode {
    const node = this.nodes.get(path);
    if (node === undefined) throw new Refusal("NONODE");
    return node;
  }

  #execute(code: number, reader: ByteReader): Uint8Array {
    switch (code) {
      case operations.create2.code:
      case operations.createContainer.code: {
        const { request, reply } = operations.create2;
        return bytesOf(reply, this.#create(readValue(request, reader, "create")));
      }
      case operations.createTtl.code: {
        const { request, reply } = operations.createTtl;
        return bytesOf(reply, this.#create(readValue(request, reader, "createTtl")));
      }
      case operations.delete.code: {
        const { path, version } = readValue(operations.delete.request, reader, "delete");
        this.delete(path, version);
        return new Uint8Array(0);
      }
      case operations.setData.code: {
        const { request, reply } = operations.setData;
        const { path, data, version } = readValue(request, reader, "setData");
        return bytesOf(reply, { stat: this.write(path, data, version) });
      }
      case operations.exists.code: {
        const { path } = readValue(operations.exists.request, reader, "exists");
        return bytesOf(operations.exists.reply, { stat: this.#node(path).stat });
      }
      case operations.getData.code: {
        const { path } = readValue(operations.getData.request, reader, "getData");
        const { data, stat } = this.#node(path);
        const numChildren = this.childrenOf(path).length;
        return bytesOf(operations.getData.reply, { data, stat: { ...stat, numChildren } });
      }
      case operations.getChildren2.code: {
        const { path } = readValue(operations.getChildren2.request, reader, "getChildren");
        const { stat } = this.#node(path);
        return bytesOf(operations.getChildren2.reply, { children: this.childrenOf(path), stat });
      }
      case operations.sync.code: {
        const { path } = readValue(operations.sync.request, reader, "sync");
        return bytesOf(operations.sync.reply, { path });
      }
      case operations.multi.code:
      case operations.multiRead.code: {
        const parts = readValue(operations.multi.request, reader, "multi");
        const isRead = code === operations.multiRead.code;
        return bytesOf(operations.multi.reply, isRead ? this.#reads(parts) : this.#multi(parts));
      }
      default:
        throw new Refusal("UNIMPLEMENTED");
    }
  }

  #create({ path, data, flags }: CreateRequest): { path: string; stat: Stat } {
    const mode = Object.values(createModes).find((one) => one.flags === flags);
    const parent = this.nodes.get(parentOf(path) ?? "/");
    const number = String(parent?.childCount ?? 0).padStart(10, "0");
    const whole = mode?.isSequential === true ? path + number : path;
    return { path: whole, stat: this.create(whole, data, flags) };
  }

  /** All or nothing, with the errors of a real server. */
  #multi(parts: readonly MultiPart[]): MultiResult[] {
    const before = new Map([...this.nodes].map(([path, node]) => [path, { ...node }]));
    const results: MultiResult[] = [];
    for (const [index, part] of parts.entries()) {
      try {
        results.push(this.#part(part));
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        this.nodes.clear();
        for (const [path, node] of before) this.nodes.set(path, node);
        const culprit = zooKeeperErrors[error.reason].number;
        return parts.map((_, at) => ({
          kind: "error",
          errorCode: at < index ? 0 : at === index ? culprit : -2,
        }));
      }
    }
    return results;
  }

  #part(part: MultiPart): MultiResult {
    switch (part.kind) {
      case "create":
      case "create2":
      case "createContainer":
      case "createTtl":
        return { kind: "create2", ...this.#create(part) };
      case "setData":
        return { kind: "setData", stat: this.write(part.path, part.data, part.version) };
      case "delete":
        this.delete(part.path, part.version);
        return { kind: "delete" };
      case "check":
        this.#versioned(part.path, part.version);
        return { kind: "check" };
      case "getData":
      case "getChildren":
        throw new Refusal("UNIMPLEMENTED");
    }
  }

  #reads(parts: readonly MultiPart[]): MultiResult[] {
    return parts.map(({ kind, path }) => {
      const node = this.nodes.get(path);
      if (node === undefined) return { kind: "error", errorCode: -101 };
      if (kind === "getChildren") return { kind, children: this.childrenOf(path) };
      return { kind: "getData", data: node.data, stat: node.stat };
    });
  }
}

function lossOf(
  { operation, path: serverPath, shownPath }: RequestSpec<unknown>,
  code: "EVH_UNSENT" | "EVH_DISCONNECTED",
): ZooKeeperError {
  const path = shownPath ?? serverPath;
  return new ZooKeeperError(code, `Cannot ${operation.name} ${path ?? ""}: the connection broke`, {
    reason: reasonOf(-4),
    outcome: code === "EVH_UNSENT" ? "none" : "unknown",
    path,
  });
}
