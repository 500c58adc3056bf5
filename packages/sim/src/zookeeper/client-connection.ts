import { Deque, ProtocolError } from "@everhold/base";
import type { Link, LinkHandler } from "@everhold/env";
import { ByteReader, ByteWriter, FrameReader, readValue, writeValue } from "@everhold/wire";
import {
  type Acl,
  checkCode,
  connectedState,
  connectRequest,
  connectResponse,
  type Identity,
  type Operation,
  operations,
  permissions,
  replyHeader,
  requestHeader,
  specialXids,
  watcherEvent,
  zooKeeperErrors,
} from "@everhold/zookeeper-core";
import { loginIdentity, mayAccess } from "./access.ts";
import type { EnsembleOptions, EnsemblePorts } from "./ensemble-types.ts";
import { resultOrCode } from "./refusal.ts";
import { answerRead } from "./reads.ts";
import type { Replica, Watcher } from "./replica.ts";
import type { Transaction, TransactionResult } from "./transaction.ts";
import { type WriteRequest, writeCodes } from "./writes.ts";

/** What a connection needs of its server. */
export interface ConnectionServer {
  readonly options: EnsembleOptions;
  readonly ports: EnsemblePorts;
  readonly replica: Replica;
  /** Whether the server belongs to a quorum. */
  readonly isServing: boolean;
  readonly connections: Set<ClientConnection>;
  nextSessionId(): bigint;
  /** A number for a request; {@link ClientConnection.onApplied} is called when it is done. */
  newRequestId(by: ClientConnection): number;
  createSession(session: { sessionId: bigint; timeoutMs: number; requestId: number }): void;
  closeSession(sessionId: bigint, requestId: number): void;
  write(request: WriteRequest): void;
  /** Calls `done` when the server has applied what the leader had taken up. */
  sync(done: () => void): void;
  /** Asks the leader whether the session lives, and makes it this server's. */
  revalidate(sessionId: bigint, done: (isAlive: boolean) => void): void;
  /** Hears of a session. False on a leader that knows that it has ended. */
  touch(sessionId: bigint): boolean;
  /** Only a leader checks the session of what it reads. @throws Refusal */
  checkRead(sessionId: bigint): void;
}

/** A request in the order of its connection. */
interface Entry {
  readonly xid: number;
  readonly code: number;
  readonly body: Uint8Array;
  /** Answered by the leader; the others are answered when they come first. */
  isWaiting: boolean;
  /** Its answer, when it was not the first yet. */
  answer: (() => void) | undefined;
  requestId: number | undefined;
}

const knownCodes: ReadonlySet<number> = new Set(
  Object.values<Operation>(operations).map(({ code }) => code),
);

/**
 * One connection of a client, the server's end: reads frames, keeps answers in the order of their requests, and tells
 * of events before any answer that could show them. Source: ZooKeeper, `NIOServerCnxn`, `CommitProcessor`.
 */
export class ClientConnection implements LinkHandler, Watcher {
  sessionId = 0n;
  readonly #server: ConnectionServer;
  readonly #link: Link;
  readonly #host: string;
  readonly #frames: FrameReader;
  readonly #identities: Identity[];
  readonly #entries = new Deque<Entry>();
  /** Frames that came before the session stood. */
  readonly #early = new Deque<Uint8Array>();
  #state: "new" | "opening" | "open" | "over" = "new";
  #timeoutMs = 0;
  #knowsReadOnly = true;

  constructor(server: ConnectionServer, link: Link) {
    this.#server = server;
    this.#link = link;
    this.#host = link.peer.slice(0, Math.max(0, link.peer.lastIndexOf(":"))) || link.peer;
    this.#identities = [{ scheme: "ip", id: this.#host }];
    const frameBytesMax = server.options.juteMaxBuffer + 4;
    this.#frames = new FrameReader({ frameLengthMin: 4, frameBytesMax });
  }

  onData(bytes: Uint8Array): void {
    if (this.#state === "over") return;
    try {
      this.#frames.push(bytes, this);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.cut();
    }
  }

  onSent(): void {
    // Every frame has memory of its own.
  }

  onDrained(): void {
    // Nothing waits.
  }

  onClosed(): void {
    this.#leave();
  }

  onFrame(bytes: Uint8Array, _view: DataView, start: number, end: number): boolean {
    const frame = bytes.slice(start + 4, end);
    if (this.#state === "opening") this.#early.push(frame);
    else if (this.#state === "new") this.#onHello(frame);
    else this.#onRequest(frame);
    return this.#state !== "over";
  }

  /** The server breaks the connection off. */
  cut(): void {
    this.#leave();
    this.#link.destroy();
  }

  /** The server closes the connection after what it has sent. */
  end(): void {
    if (this.#state === "over") return;
    this.#leave();
    this.#link.end();
  }

  notify(type: number, path: string, zxid: bigint, acl: readonly Acl[] | undefined): void {
    if (acl !== undefined && !mayAccess(acl, permissions.read, this.#identities)) return;
    this.#send((writer) => {
      writeValue(replyHeader, writer, { xid: specialXids.notification, zxid, errorCode: 0 });
      writeValue(watcherEvent, writer, { type, state: connectedState, path });
    });
  }

  /** The server has done what this connection asked the leader for. */
  onApplied({ requestId, body }: Transaction, result: TransactionResult): void {
    if (body.kind === "createSession") return this.#finishHello(true);
    const entry = this.#entryOf(requestId);
    if (entry === undefined) return;
    const { lastZxid } = this.#server.replica;
    entry.answer = () => this.#answerWrite(entry, lastZxid, result);
    this.#pump();
  }

  #onHello(frame: Uint8Array): void {
    const { replica, isServing, options } = this.#server;
    const hello = readValue(connectRequest, new ByteReader(frame), "a hello");
    this.#knowsReadOnly = frame.length > helloBytes;
    if (!isServing && options.readOnlyModeEnabled && hello.readOnly) {
      this.#state = "open";
      return this.#reply({ xid: 0, zxid: 0n, errorCode: zooKeeperErrors.NOTREADONLY.number });
    }
    if (!isServing || hello.lastZxidSeen > replica.lastZxid) return this.cut();
    const { tickTimeMs } = options;
    this.#timeoutMs = Math.min(Math.max(hello.timeoutMs, 2 * tickTimeMs), 20 * tickTimeMs);
    this.#state = "opening";
    if (hello.sessionId === 0n) {
      this.sessionId = this.#server.nextSessionId();
      const { sessionId } = this;
      const requestId = this.#server.newRequestId(this);
      return this.#server.createSession({ sessionId, timeoutMs: this.#timeoutMs, requestId });
    }
    for (const other of [...this.#server.connections]) {
      if (other !== this && other.sessionId === hello.sessionId) other.cut();
    }
    this.sessionId = hello.sessionId;
    const password = passwordOf(this.sessionId);
    if (hello.password?.toString() !== password.toString()) {
      return this.#finishHello(false);
    }
    this.#server.revalidate(this.sessionId, (isAlive) => this.#finishHello(isAlive));
  }

  #finishHello(isValid: boolean): void {
    if (this.#state !== "opening") return;
    this.#send((writer) => {
      writeValue(connectResponse, writer, {
        protocolVersion: 0,
        timeoutMs: isValid ? this.#timeoutMs : 0,
        sessionId: isValid ? this.sessionId : 0n,
        password: isValid ? passwordOf(this.sessionId) : new Uint8Array(16),
        readOnly: false,
      });
      if (!this.#knowsReadOnly) writer.offset -= 1;
    });
    if (!isValid) return this.end();
    this.#state = "open";
    for (const frame of this.#early.drain()) {
      if (this.#isOpen) this.#onRequest(frame);
    }
  }

  #onRequest(frame: Uint8Array): void {
    if (frame.length < 8) return this.cut();
    const reader = new ByteReader(frame);
    const { xid, code } = readValue(requestHeader, reader, "a header");
    const body = frame.slice(reader.offset);
    const { auth, sasl } = operations;
    if (code === auth.code) return this.#onAuth(xid, body);
    if (code === sasl.code) {
      return this.#reply({ xid, zxid: 0n, errorCode: 0 }, (writer) =>
        writeValue(sasl.reply, writer, { token: null }),
      );
    }
    if (!this.#server.isServing) return this.#onUnserved(xid);
    // A leader drops without a word what comes for a session that it has ended.
    if (!this.#server.touch(this.sessionId)) return;
    if (!knownCodes.has(code) || code === checkCode) {
      this.#reply({ xid, zxid: -1n, errorCode: zooKeeperErrors.UNIMPLEMENTED.number });
      return this.end();
    }
    this.#enqueue({ xid, code, body, isWaiting: false, answer: undefined, requestId: undefined });
  }

  #enqueue(entry: Entry): void {
    const { code, body } = entry;
    const { sessionId } = this;
    const isLeaders = writeCodes.has(code) || code === operations.sync.code;
    entry.isWaiting = isLeaders;
    this.#entries.push(entry);
    if (code === operations.sync.code) {
      this.#server.sync(() => {
        entry.answer = () => this.#answerSync(entry);
        this.#pump();
      });
    } else if (isLeaders) {
      const requestId = this.#server.newRequestId(this);
      const identities = [...this.#identities];
      entry.requestId = requestId;
      if (code === operations.closeSession.code) this.#server.closeSession(sessionId, requestId);
      else this.#server.write({ code, body, sessionId, identities, requestId });
    }
    this.#pump();
  }

  /** Answers what is due, in order. */
  #pump(): void {
    for (let entry = this.#entries.at(0); entry !== undefined; entry = this.#entries.at(0)) {
      if (!this.#isOpen || (entry.isWaiting && entry.answer === undefined)) return;
      this.#entries.shift();
      if (entry.answer === undefined) this.#answerRead(entry);
      else entry.answer();
    }
  }

  #answerRead({ xid, code, body }: Entry): void {
    const { replica, options } = this.#server;
    const { version } = options;
    const writer = new ByteWriter();
    const { sessionId } = this;
    const isForgetful = options.mistake === "forget-watches";
    const who = { sessionId, identities: this.#identities, watcher: this };
    const reading = { replica, version, isForgetful, ...who };
    const isRead = code !== operations.ping.code;
    const errorCode = resultOrCode(() => {
      this.#server.checkRead(sessionId);
      return isRead ? readCode(() => answerRead(code, new ByteReader(body), writer, reading)) : 0;
    });
    if (errorCode === zooKeeperErrors.SESSIONMOVED.number) return this.end();
    const zxid = replica.lastZxid;
    this.#reply({ xid, zxid, errorCode }, (out) => out.raw(writer.toBytes()));
  }

  #answerSync({ xid, body }: Entry): void {
    const { request, reply } = operations.sync;
    const writer = new ByteWriter();
    const errorCode = readCode(() =>
      writeValue(reply, writer, readValue(request, new ByteReader(body), "sync")),
    );
    const zxid = this.#server.replica.lastZxid;
    this.#reply({ xid, zxid, errorCode }, (out) => out.raw(writer.toBytes()));
  }

  #answerWrite({ xid, code }: Entry, zxid: bigint, result: TransactionResult): void {
    if (result.kind === "error") {
      if (result.errorCode === zooKeeperErrors.SESSIONMOVED.number) return this.end();
      return this.#reply({ xid, zxid, errorCode: result.errorCode });
    }
    const { SESSIONMOVED } = zooKeeperErrors;
    if (
      result.kind === "multi" &&
      result.results.some((one) => one.kind === "error" && one.errorCode === SESSIONMOVED.number)
    ) {
      return this.end();
    }
    this.#reply({ xid, zxid, errorCode: 0 }, (writer) => writeResult(writer, result));
    if (code === operations.closeSession.code) this.end();
  }

  #onAuth(xid: number, body: Uint8Array): void {
    const errorCode = readCode(() => {
      const login = readValue(operations.auth.request, new ByteReader(body), "a login");
      const { digests } = this.#server.ports;
      const identity = loginIdentity(digests, { ...login, host: this.#host });
      if (identity === undefined) return zooKeeperErrors.AUTHFAILED.number;
      const isKnown = this.#identities.some(
        ({ scheme, id }) => scheme === identity.scheme && id === identity.id,
      );
      if (!isKnown) this.#identities.push(identity);
      return 0;
    });
    if (errorCode === zooKeeperErrors.MARSHALLINGERROR.number) return this.cut();
    this.#reply({ xid, zxid: 0n, errorCode });
    if (errorCode !== 0) this.end();
  }

  /** A server that can only read says so to the end. */
  #onUnserved(xid: number): void {
    this.#reply({ xid, zxid: 0n, errorCode: zooKeeperErrors.NOTREADONLY.number });
  }

  get #isOpen(): boolean {
    return this.#state === "open";
  }

  #entryOf(requestId: number | undefined): Entry | undefined {
    for (let index = 0; index < this.#entries.length; index += 1) {
      const entry = this.#entries.at(index);
      if (entry?.requestId === requestId && requestId !== undefined) return entry;
    }
    return undefined;
  }

  #reply(
    header: { xid: number; zxid: bigint; errorCode: number },
    write: (writer: ByteWriter) => void = () => undefined,
  ): void {
    this.#send((writer) => {
      writeValue(replyHeader, writer, header);
      if (header.errorCode === 0) write(writer);
    });
  }

  #send(write: (writer: ByteWriter) => void): void {
    if (this.#state === "over") return;
    const writer = new ByteWriter();
    writer.i32(0);
    write(writer);
    writer.patchU32(0, writer.offset - 4);
    this.#link.send(writer.toBytes());
  }

  #leave(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#server.connections.delete(this);
    this.#server.replica.removeWatcher(this);
  }
}

/** Bytes of the first frame of clients that know nothing of servers that can only read. */
const helloBytes = 44;

/** A session's password: whoever knows the one can work out the other, but nobody asks for that here. */
function passwordOf(sessionId: bigint): Uint8Array {
  const password = new Uint8Array(16);
  let state = BigInt.asUintN(64, sessionId ^ 0x9e37_79b9_7f4a_7c15n);
  for (let index = 0; index < password.length; index += 1) {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    password[index] = Number(state >> 56n);
  }
  return password;
}

/** 0, or what `step` gives, or the number of an error where it can't read its input. */
function readCode(step: () => number | void): number {
  try {
    return step() ?? 0;
  } catch (error) {
    if (error instanceof ProtocolError) return zooKeeperErrors.MARSHALLINGERROR.number;
    throw error;
  }
}

function writeResult(
  writer: ByteWriter,
  result: Exclude<TransactionResult, { kind: "error" }>,
): void {
  if (result.kind === "done") return;
  if (result.kind === "multi") return writeValue(operations.multi.reply, writer, result.results);
  const { result: change } = result;
  if (change.kind === "create") return writeValue(operations.create.reply, writer, change);
  if (change.kind === "create2") return writeValue(operations.create2.reply, writer, change);
  if (change.kind === "setData") return writeValue(operations.setData.reply, writer, change);
}
