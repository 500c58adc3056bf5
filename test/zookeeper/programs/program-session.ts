import { ByteReader, ByteWriter, readValue, writeValue, type Field } from "@everhold/wire";
import {
  connectRequest,
  operations,
  readHandshakeReply,
  replyHeader,
  replyHeaderBytes,
  requestHeader,
  specialXids,
  type ReplyHeader,
} from "@everhold/zookeeper-core";

import type { Target, Wire } from "./wire.ts";

/** What comes before an answer, and how it ends. */
export interface Answer {
  /** Frames that came before it, in their order. */
  readonly before: readonly Frame[];
  /** `undefined`: the server closed the connection instead. */
  readonly frame: Frame | undefined;
}

/** A frame with its header read. */
export interface Frame {
  readonly header: ReplyHeader;
  readonly body: Uint8Array;
}

/** What a handshake came to. */
export type Greeting =
  | { readonly kind: "closed" }
  | { readonly kind: "refused" }
  | { readonly kind: "session"; readonly sessionId: bigint; readonly timeoutMs: number };

/** A session of a program, with the connection that it has at the time. */
export class ProgramSession {
  readonly #target: Target;
  /** Where it connects to next. */
  server: number;
  #wire: Wire | undefined;
  #xid = 0;
  #password: Uint8Array = new Uint8Array(16);
  /** 0n before it began. */
  id = 0n;
  /** The last transaction that an answer told of. */
  seenZxid = 0n;

  constructor(target: Target, server: number) {
    this.#target = target;
    this.server = server;
  }

  get isConnected(): boolean {
    return this.#wire !== undefined;
  }

  /** A new session on a new connection. */
  async open(timeoutMs: number): Promise<Greeting> {
    this.id = 0n;
    this.seenZxid = 0n;
    this.#password = new Uint8Array(16);
    return this.#greet(timeoutMs, 0n, this.#password);
  }

  /** The session on a new connection; the one before is still there for {@link takeFormer}. */
  resume(lastZxid: bigint, hasPassword: boolean): Promise<Greeting> {
    const password = hasPassword ? this.#password : new Uint8Array(16).fill(7);
    return this.#greet(60_000, lastZxid, password);
  }

  drop(): void {
    this.#wire?.drop();
    this.#wire = undefined;
  }

  /** Lets a connection go that another one takes the place of, and returns a session that has nothing but it. */
  takeFormer(): ProgramSession {
    const former = new ProgramSession(this.#target, this.server);
    former.#wire = this.#wire;
    this.#wire = undefined;
    return former;
  }

  /** Takes back what {@link takeFormer} gave, where nothing took its place. */
  putBack(former: ProgramSession): void {
    this.#wire ??= former.#wire;
  }

  request<T>(code: number, field: Field<T>, body: T): Promise<Answer> {
    const writer = new ByteWriter();
    writeValue(field, writer, body);
    return this.send(code, writer.toBytes());
  }

  /** Sends a request and returns all up to its answer. */
  async send(code: number, body: Uint8Array): Promise<Answer> {
    this.#xid += 1;
    const xid = ownXids.get(code) ?? this.#xid;
    const writer = new ByteWriter();
    writeValue(requestHeader, writer, { xid, code });
    writer.raw(body);
    this.#wire?.send(writer.toBytes());
    const before: Frame[] = [];
    for (;;) {
      const frame = await this.#next();
      if (frame === undefined || frame.header.xid === xid) return { before, frame };
      before.push(frame);
    }
  }

  /** Returns what comes before the server closes the connection. @throws Error when it does not */
  async closed(): Promise<Frame[]> {
    const frames: Frame[] = [];
    for (;;) {
      const frame = await this.#next();
      if (frame === undefined) return frames;
      frames.push(frame);
    }
  }

  /** Ends the session, whatever it takes. */
  async end(): Promise<void> {
    const { closeSession } = operations;
    if (this.id === 0n) return this.drop();
    if (this.isConnected) await this.send(closeSession.code, new Uint8Array());
    this.drop();
    if ((await this.resume(0n, true)).kind !== "session") return this.drop();
    await this.send(closeSession.code, new Uint8Array());
    this.drop();
  }

  async #greet(timeoutMs: number, lastZxidSeen: bigint, password: Uint8Array): Promise<Greeting> {
    const wire = await this.#target.connect(this.server);
    this.#wire = wire;
    const writer = new ByteWriter();
    const { id: sessionId } = this;
    const protocolVersion = 0;
    const hello = {
      protocolVersion,
      lastZxidSeen,
      timeoutMs,
      sessionId,
      password,
      readOnly: false,
    };
    writeValue(connectRequest, writer, hello);
    wire.send(writer.toBytes());
    const bytes = await wire.next();
    if (bytes === undefined) {
      this.drop();
      return { kind: "closed" };
    }
    const reply = readHandshakeReply(new ByteReader(bytes));
    if (reply.kind === "refused" || reply.response.timeoutMs <= 0) {
      await this.closed();
      return { kind: "refused" };
    }
    const { response } = reply;
    this.id = response.sessionId;
    this.#password = response.password ?? new Uint8Array(16);
    return { kind: "session", sessionId: response.sessionId, timeoutMs: response.timeoutMs };
  }

  async #next(): Promise<Frame | undefined> {
    const bytes = await this.#wire?.next();
    if (bytes === undefined) {
      this.drop();
      return undefined;
    }
    const header = readValue(replyHeader, new ByteReader(bytes), "the header of an answer");
    if (header.zxid > this.seenZxid) this.seenZxid = header.zxid;
    return { header, body: bytes.subarray(replyHeaderBytes) };
  }
}

/** The numbers that requests have which are not counted, by their codes. */
const ownXids: ReadonlyMap<number, number> = new Map([
  [operations.ping.code, specialXids.ping],
  [operations.auth.code, specialXids.auth],
  [operations.setWatches.code, specialXids.setWatches],
  [operations.setWatches2.code, specialXids.setWatches],
]);
