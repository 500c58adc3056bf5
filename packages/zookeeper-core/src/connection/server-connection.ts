import {
  assert,
  ConnectionError,
  deferred,
  type Deferred,
  Deque,
  EverholdError,
  ProtocolError,
} from "@everhold/base";
import type { Link, LinkHandler, Ports } from "@everhold/env";
import { ByteReader, type ByteWriter, FrameReader, readValue, writeValue } from "@everhold/wire";
import { attemptOf, refusedError, type RequestSubject } from "../errors.ts";
import {
  connectRequest,
  type ConnectRequest,
  type HandshakeReply,
  readHandshakeReply,
} from "../protocol/handshake.ts";
import {
  replyHeader,
  type ReplyHeader,
  requestHeader,
  requestHeaderBytes,
  specialXids,
  xidMax,
} from "../protocol/headers.ts";
import { operations } from "../protocol/operations.ts";
import { authRequest } from "../protocol/records.ts";
import { watcherEvent } from "../protocol/watch-events.ts";
import type { Requests, RequestSpec, RequestWait } from "../session/request.ts";
import type { Notification } from "../session/session-hooks.ts";
import type { WatchRequest } from "../watches/watch-request.ts";
import { connectionLimits as limits } from "./connection-limits.ts";
import { FrameOutput } from "./frame-output.ts";
import { Liveness } from "./liveness.ts";
import { Touches } from "./touches.ts";
import { type PendingRequest, pendingRequest } from "./pending-request.ts";

/** An identity that is added to a connection. */
export interface AuthInfo {
  /** As `digest`. */
  readonly scheme: string;
  /** What the scheme wants, as `user:password` in UTF-8. */
  readonly auth: Uint8Array;
}

/** Who hears of a connection. None of these may throw. */
export interface ConnectionListener {
  /** Whether the server is to be asked for a watch. */
  asksServer(path: string, watch: WatchRequest): boolean;
  /** A read that goes along with a watch was answered. */
  onWatchedReply(
    path: string,
    watch: WatchRequest,
    reply: { readonly header: ReplyHeader; readonly wasAsked: boolean },
  ): void;
  onNotification(notification: Notification): void;
  /** A request was answered, or the network took what waited: there may be room for more. */
  onRoom(): void;
  /** The server refused something with this error's number. */
  onRefusal(errorCode: number): void;
  /** The connection is gone; called once, and last. */
  onLost(connection: ServerConnection, error: EverholdError): void;
}

/** What a connection must know. */
export interface ConnectionSettings {
  /** Bytes of one request, header included. */
  readonly requestBytesMax: number;
  /** Bytes of one answer. */
  readonly replyBytesMax: number;
}

/** A request that the server has yet to answer. */
interface Outstanding {
  readonly xid: number;
  readonly pending: PendingRequest;
  readonly sentAtMs: number;
  /** Whether the watch flag was set. */
  readonly wasAsked: boolean;
}

/** Of what a client may send these would do harm: servers send them, or they exist inside a multi only. */
const forbiddenCodes: ReadonlySet<number> = new Set([-10, -1, 0, 13, 20]);

/**
 * One socket to one server: frames in and out, answers in the order of requests, pings, and one end with one reason.
 *
 *     handshake ──startSession()──> open ──fail(), onClosed()──> ended
 *
 * Answers come strictly in the order of requests; only those to `auth` and pings, and notifications, are told apart by
 * their numbers. A caller who has gone keeps its place in that order.
 */
export class ServerConnection implements LinkHandler, Requests {
  /** The server, as `host:port`. */
  readonly server: string;
  /** The last transaction that the server is known to have applied. */
  lastZxid = 0n;
  /** When the newest thing was sent that the server has answered: then, at the earliest, it heard of the session last. */
  touchedAtMs = 0;
  /** The same, of all that counts for leases; none before the hello. */
  touches: Touches | undefined;
  readonly #ports: Pick<Ports, "timers" | "monotonicClock">;
  readonly #link: Link;
  readonly #listener: ConnectionListener;
  readonly #output: FrameOutput;
  readonly #frames: FrameReader;
  readonly #reader = new ByteReader();
  readonly #outstanding = new Deque<Outstanding>();
  readonly #auths = new Deque<Deferred<void>>();
  readonly #pingsSentAtMs = new Deque<number>();
  #handshake: Deferred<HandshakeReply> | undefined;
  /** Whether the handshake was answered. */
  #isGreeted = false;
  #liveness: Liveness | undefined;
  #lastXid = 0;
  #endError: EverholdError | undefined;

  constructor(
    link: Link,
    server: string,
    context: {
      readonly ports: Pick<Ports, "timers" | "monotonicClock">;
      readonly settings: ConnectionSettings;
      readonly listener: ConnectionListener;
    },
  ) {
    const { ports, settings, listener } = context;
    this.server = server;
    this.#ports = ports;
    this.#link = link;
    this.#listener = listener;
    this.#output = new FrameOutput(link, ports.timers, settings.requestBytesMax);
    this.#frames = new FrameReader({
      frameBytesMax: settings.replyBytesMax,
      frameLengthMin: 4,
    });
  }

  /** Why the connection is gone; `undefined` while it stands. */
  get endError(): EverholdError | undefined {
    return this.#endError;
  }

  /** Requests that the server has yet to answer. */
  get outstandingCount(): number {
    return this.#outstanding.length;
  }

  /** Whether so much waits for the network that requests had better stay unsent. */
  get isFull(): boolean {
    return this.#output.queuedBytes >= limits.queuedBytesMax;
  }

  /** When something was heard last. */
  get heardAtMs(): number {
    return this.#liveness?.heardAtMs ?? 0;
  }

  /** Says hello; the answer says which session there is. Once, and first. */
  shakeHands(hello: ConnectRequest): Promise<HandshakeReply> {
    assert(this.#handshake === undefined, "a connection shakes hands once");
    const handshake = deferred<HandshakeReply>();
    this.#handshake = handshake;
    this.touchedAtMs = this.#ports.monotonicClock.nowMs();
    this.touches = new Touches(this.touchedAtMs);
    this.#output.frame((writer) => writeValue(connectRequest, writer, hello));
    this.#output.flush();
    return handshake.promise;
  }

  /** The server has granted a session with this timeout: from now on it is pinged, and its silence noticed. */
  startSession(timeoutMs: number): void {
    if (this.#endError !== undefined) return;
    this.#liveness = new Liveness(this.#ports, timeoutMs, {
      ping: () => this.ping(),
      onSilence: (silentMs) => this.fail(this.#silenceError(silentMs)),
    });
  }

  request<T>(spec: RequestSpec<T>, wait: RequestWait): Promise<T> {
    const { pending, promise } = pendingRequest(spec, wait, {
      ports: this.#ports,
      unsentCause: () => this.#endError,
    });
    this.send(pending);
    return promise;
  }

  /** Sends a request, or fails it where it can't be written. */
  send(pending: PendingRequest): void {
    if (pending.isSettled) return;
    if (this.#endError !== undefined) return pending.lose(this.#endError);
    const { operation, path, watch } = pending;
    if (forbiddenCodes.has(operation.code)) return pending.fail(forbiddenError(operation.code));
    const xid = this.#xidFor(operation.code);
    const asksForWatch =
      watch !== undefined && path !== undefined && this.#listener.asksServer(path, watch);
    try {
      this.#writeRequest(xid, operation.code, (writer) => pending.encode(writer, asksForWatch));
    } catch (error) {
      return pending.fail(unwritableError(error, pending));
    }
    const sentAtMs = this.#ports.monotonicClock.nowMs();
    pending.isSent = true;
    this.#liveness?.sent(sentAtMs);
    this.#outstanding.push({ xid, pending, sentAtMs, wasAsked: asksForWatch });
  }

  /** Adds an identity to the connection; its answer may overtake others. @throws ZooKeeperError EVH_SECURITY, EVH_FRAME_TOO_LARGE */
  authenticate({ scheme, auth }: AuthInfo): Promise<void> {
    if (this.#endError !== undefined) return Promise.reject(this.#endError);
    const { auth: operation } = operations;
    try {
      this.#writeRequest(specialXids.auth, operation.code, (writer) =>
        writeValue(authRequest, writer, { type: 0, scheme, auth }),
      );
    } catch (error) {
      return Promise.reject(unwritableError(error, { operation }));
    }
    const waiter = deferred<void>();
    this.#auths.push(waiter);
    return waiter.promise;
  }

  /** Asks for a sign of life, which also tells the last transaction that the server has applied. */
  ping(): void {
    if (this.#endError !== undefined) return;
    if (this.#pingsSentAtMs.length >= limits.pingCountMax) return;
    this.#pingsSentAtMs.push(this.#ports.monotonicClock.nowMs());
    this.#writeRequest(specialXids.ping, operations.ping.code, () => undefined);
  }

  /** Ends the connection because of `error`. Everybody hears of it before this returns. */
  fail(error: EverholdError): void {
    this.#lose(error);
    this.#link.destroy();
  }

  onData(bytes: Uint8Array): void {
    if (this.#endError !== undefined) return;
    if (this.#liveness !== undefined) {
      this.#liveness.heardAtMs = this.#ports.monotonicClock.nowMs();
    }
    try {
      this.#frames.push(bytes, this);
    } catch (error) {
      this.fail(this.#unreadableError(error));
      return;
    }
    if (this.#endError === undefined) this.#listener.onRoom();
  }

  onSent(bytes: Uint8Array): void {
    this.#output.takeBack(bytes);
  }

  onDrained(): void {
    if (this.#endError === undefined) this.#listener.onRoom();
  }

  onClosed(error: Error | undefined): void {
    // Only what the server thinks of our certificate is told so late, and is no ordinary loss.
    if (EverholdError.is(error, "EVH_CLIENT_CERTIFICATE")) return this.#lose(error);
    const message = `the server ${this.server} ended the connection`;
    this.#lose(new ConnectionError("EVH_DISCONNECTED", message, { cause: error }));
  }

  /** Called by the frame reader; false ends the reading of this chunk. */
  onFrame(bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
    const reader = this.#reader.reset(bytes, view, start + 4, end);
    if (this.#liveness === undefined) this.#onHandshakeFrame(reader);
    else this.#onReply(reader, readValue(replyHeader, reader, "the header of an answer"));
    return this.#endError === undefined;
  }

  #onHandshakeFrame(reader: ByteReader): void {
    const handshake = this.#handshake;
    if (handshake === undefined || this.#isGreeted) {
      throw new ProtocolError("EVH_PROTOCOL", "the server spoke before it was spoken to");
    }
    this.#isGreeted = true;
    handshake.resolve(readHandshakeReply(reader));
  }

  #onReply(reader: ByteReader, header: ReplyHeader): void {
    if (header.xid === specialXids.notification) return this.#onNotification(reader, header);
    if (header.xid === specialXids.ping) this.#onPong(header);
    else if (header.xid === specialXids.auth) this.#onAuth(header);
    else this.#onAnswer(reader, header);
    if (header.errorCode !== 0 && this.#endError === undefined) {
      this.#listener.onRefusal(header.errorCode);
    }
  }

  #onNotification(reader: ByteReader, { zxid }: ReplyHeader): void {
    const event = readValue(watcherEvent, reader, "a notification");
    this.#listener.onNotification({ ...event, zxid: zxid > 0n ? zxid : undefined });
  }

  #onPong(header: ReplyHeader): void {
    const sentAtMs = this.#pingsSentAtMs.shift();
    if (sentAtMs !== undefined) this.#noteProgress(sentAtMs, header);
  }

  #onAuth({ errorCode }: ReplyHeader): void {
    const waiter = this.#auths.shift();
    if (errorCode === 0) waiter?.resolve();
    else waiter?.reject(refusedError({ operation: operations.auth }, errorCode));
  }

  #onAnswer(reader: ByteReader, header: ReplyHeader): void {
    const outstanding = this.#outstanding.at(0);
    if (outstanding?.xid !== header.xid) {
      const expected = outstanding === undefined ? "none" : `that to request ${outstanding.xid}`;
      throw new ProtocolError(
        "EVH_PROTOCOL",
        `found the answer to request ${header.xid}, expected ${expected}`,
      );
    }
    this.#outstanding.shift();
    this.#noteProgress(outstanding.sentAtMs, header);
    const { pending, wasAsked } = outstanding;
    const { path, watch } = pending;
    // Whoever has gone does not count on the watch either.
    if (watch !== undefined && path !== undefined && !pending.isSettled) {
      this.#listener.onWatchedReply(path, watch, { header, wasAsked });
    }
    pending.answer(reader, header);
  }

  /**
   * What an answer says besides. A notification says nothing of the kind: others of its transaction may be still to
   * come. Nor does an answer to nothing: who lies about one number lies about another.
   */
  #noteProgress(sentAtMs: number, { zxid }: ReplyHeader): void {
    this.touchedAtMs = Math.max(this.touchedAtMs, sentAtMs);
    this.touches?.note(sentAtMs, this.heardAtMs);
    if (zxid > this.lastZxid) this.lastZxid = zxid;
  }

  #xidFor(code: number): number {
    if (code === operations.setWatches.code || code === operations.setWatches2.code) {
      return specialXids.setWatches;
    }
    this.#lastXid = this.#lastXid === xidMax ? 1 : this.#lastXid + 1;
    return this.#lastXid;
  }

  #writeRequest(xid: number, code: number, writeBody: (writer: ByteWriter) => void): void {
    this.#output.frame((writer) => {
      writer.ensure(requestHeaderBytes);
      writeValue(requestHeader, writer, { xid, code });
      writeBody(writer);
    });
  }

  #silenceError(silentMs: number): ConnectionError {
    return new ConnectionError(
      "EVH_CONNECTION_TIMEOUT",
      `the server ${this.server} was silent for ${Math.round(silentMs)} ms`,
    );
  }

  /** Errors of decoding are the server's; anything else is ours and goes on as their cause. */
  #unreadableError(cause: unknown): EverholdError {
    const code = EverholdError.is(cause) ? cause.code : "EVH_PROTOCOL";
    const what = EverholdError.is(cause) ? `: ${cause.message}` : "";
    return new ProtocolError(code, `cannot read what the server ${this.server} sent${what}`, {
      cause,
    });
  }

  #lose(error: EverholdError): void {
    if (this.#endError !== undefined) return;
    this.#endError = error;
    this.#liveness?.stop();
    this.#output.close();
    this.#frames.close();
    this.#handshake?.reject(error);
    for (const waiter of this.#auths.drain()) waiter.reject(error);
    for (const { pending } of this.#outstanding.drain()) pending.lose(error);
    this.#listener.onLost(this, error);
  }
}

function forbiddenError(code: number): EverholdError {
  return new EverholdError(
    "EVH_ILLEGAL_STATE",
    `operation ${code} is never sent by a client alone: it would damage the ensemble`,
  );
}

/** What kept a request from being written, with what it was. */
function unwritableError(cause: unknown, request: RequestSubject): EverholdError {
  const code = EverholdError.is(cause) ? cause.code : "EVH_ILLEGAL_STATE";
  const why = cause instanceof Error ? cause.message : "it cannot be written";
  return new EverholdError(code, `Cannot ${attemptOf(request)}: ${why}`, { cause });
}
