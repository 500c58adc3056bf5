import type { Link, LinkHandler } from "@everhold/env";
import type { TestWorld } from "@everhold/test-world";
import { ByteReader, ByteWriter, FrameReader, readValue, writeValue } from "@everhold/wire";
import { connectRequest, connectResponse } from "../protocol/handshake.ts";
import { replyHeader, requestHeader, specialXids } from "../protocol/headers.ts";
import { operations } from "../protocol/operations.ts";
import { authRequest, pathOnly } from "../protocol/records.ts";
import { watcherEvent } from "../protocol/watch-events.ts";

/** A request that a server received. */
export interface ReceivedRequest {
  readonly server: string;
  readonly sessionId: bigint;
  readonly xid: number;
  readonly code: number;
  /** What its body begins with, where that is a path. */
  readonly path: string | undefined;
  readonly body: Uint8Array;
}

/** What a rule does with a request: answers it as usual, not at all, with this error, or with this body. */
export type Verdict = "usual" | "drop" | "close" | number | Uint8Array;

/** A session that the ensemble holds open. */
export interface TestSession {
  readonly id: bigint;
  readonly password: Uint8Array;
  readonly timeoutMs: number;
}

/**
 * Servers that share their sessions and do what a test says; of the rest as little as clients need: they answer
 * everything with success and an empty body.
 */
export class TestEnsemble {
  readonly sessions = new Map<bigint, TestSession>();
  readonly servers: readonly TestServer[];
  /** When the servers heard of each session last. */
  readonly heardAtMs = new Map<bigint, number>();
  /** Every request that arrived, at all servers, pings left out. */
  readonly received: ReceivedRequest[] = [];
  /** Every session that a hello asked for, 0n for a new one. */
  readonly hellos: { readonly sessionId: bigint; readonly lastZxid: bigint }[] = [];
  rule: (request: ReceivedRequest) => Verdict = () => "usual";
  zxid = 100n;
  lastSessionId = 0x1000n;
  /** The password that logins by `auth` must have; `undefined`: any. */
  authPassword: string | undefined;

  constructor(world: TestWorld, hosts: readonly string[] = ["a", "b", "c"]) {
    this.servers = hosts.map((host) => new TestServer(this, world, host));
  }

  /** The server of this name. */
  server(host: string): TestServer {
    const found = this.servers.find((server) => server.host === host);
    if (found === undefined) throw new Error(`there is no server ${host}`);
    return found;
  }

  /** The server that a client is connected to; there must be one. */
  get connected(): TestServer {
    const found = this.servers.find((server) => server.connections.length > 0);
    if (found === undefined) throw new Error("no client is connected");
    return found;
  }

  /** The codes of what arrived since the last call. */
  takeCodes(): number[] {
    return this.received.splice(0).map(({ code }) => code);
  }
}

/** One server of a {@link TestEnsemble}. */
export class TestServer {
  readonly host: string;
  readonly connections: TestServerConnection[] = [];
  readonly ensemble: TestEnsemble;
  /** Whether it answers; what it does not answer is lost. */
  isFrozen = false;
  /** Whether it closes every connection at the hello, as without quorum. */
  hasQuorum = true;
  /** Whether it can only read. */
  isReadOnly = false;
  /** What it answers to a hello instead, byte for byte. */
  helloAnswer: Uint8Array | undefined;
  readonly world: TestWorld;
  #stop: (() => void) | undefined;

  constructor(ensemble: TestEnsemble, world: TestWorld, host: string) {
    this.ensemble = ensemble;
    this.host = host;
    this.world = world;
    this.start();
  }

  start(): void {
    this.#stop = this.world.network.serve({ host: this.host }, (link) => {
      const connection = new TestServerConnection(this, link);
      this.connections.push(connection);
      return connection;
    });
  }

  /** The process dies. */
  kill(): void {
    this.#stop?.();
    for (const connection of this.connections.splice(0)) connection.link.destroy();
  }
}

/** One connection, the server's end. */
export class TestServerConnection implements LinkHandler {
  readonly server: TestServer;
  readonly link: Link;
  sessionId = 0n;
  readonly auths: string[] = [];
  readonly #frames = new FrameReader({ frameLengthMin: 4 });
  #isGreeted = false;

  constructor(server: TestServer, link: Link) {
    this.server = server;
    this.link = link;
  }

  onData(bytes: Uint8Array): void {
    if (!this.server.isFrozen) this.#frames.push(bytes, this);
  }

  onSent(): void {
    // Every frame has memory of its own.
  }

  onDrained(): void {
    // Nothing waits.
  }

  onClosed(): void {
    const index = this.server.connections.indexOf(this);
    if (index >= 0) this.server.connections.splice(index, 1);
  }

  onFrame(bytes: Uint8Array, _view: DataView, start: number, end: number): boolean {
    const reader = new ByteReader(bytes.slice(start + 4, end));
    if (this.#isGreeted) this.#onRequest(reader);
    else this.#onHello(reader);
    return true;
  }

  /** Sends one frame. */
  frame(write: (writer: ByteWriter) => void): void {
    const writer = new ByteWriter();
    writer.i32(0);
    write(writer);
    writer.patchU32(0, writer.offset - 4);
    this.link.send(writer.toBytes());
  }

  /** Answers a request. */
  reply(xid: number, answer: { errorCode?: number; body?: Uint8Array; zxid?: bigint } = {}): void {
    const { errorCode = 0, body = new Uint8Array(0), zxid = 0n } = answer;
    this.frame((writer) => {
      writeValue(replyHeader, writer, { xid, zxid, errorCode });
      writer.raw(body);
    });
  }

  /** Tells of a change. */
  notify(type: number, path: string, zxid = -1n): void {
    this.frame((writer) => {
      writeValue(replyHeader, writer, { xid: specialXids.notification, zxid, errorCode: 0 });
      writeValue(watcherEvent, writer, { type, state: 3, path });
    });
  }

  #onHello(reader: ByteReader): void {
    this.#isGreeted = true;
    const { ensemble, hasQuorum, isReadOnly, helloAnswer } = this.server;
    const hello = readValue(connectRequest, reader, "a hello");
    ensemble.hellos.push({ sessionId: hello.sessionId, lastZxid: hello.lastZxidSeen });
    if (helloAnswer !== undefined) return this.link.send(helloAnswer.slice());
    if (!hasQuorum || hello.lastZxidSeen > ensemble.zxid) return this.link.destroy();
    if (isReadOnly) return this.reply(0, { errorCode: -119 });
    const session =
      hello.sessionId === 0n
        ? this.#newSession(Math.min(Math.max(hello.timeoutMs, 1000), 20_000))
        : ensemble.sessions.get(hello.sessionId);
    this.sessionId = session?.id ?? 0n;
    ensemble.heardAtMs.set(this.sessionId, this.server.world.nowMs);
    this.frame((writer) =>
      writeValue(connectResponse, writer, {
        protocolVersion: 0,
        timeoutMs: session?.timeoutMs ?? 0,
        sessionId: session?.id ?? 0n,
        password: session?.password ?? new Uint8Array(16),
        readOnly: false,
      }),
    );
    if (session === undefined) this.link.end();
  }

  #newSession(timeoutMs: number): TestSession {
    const { ensemble } = this.server;
    ensemble.lastSessionId += 1n;
    ensemble.zxid += 1n;
    const id = ensemble.lastSessionId;
    const session = { id, password: new Uint8Array(16).fill(Number(id & 0xffn)), timeoutMs };
    ensemble.sessions.set(id, session);
    return session;
  }

  #onRequest(reader: ByteReader): void {
    const { ensemble, host: server } = this.server;
    const { xid, code } = readValue(requestHeader, reader, "a header");
    // As a server that finds its session gone does.
    if (!ensemble.sessions.has(this.sessionId)) return this.link.destroy();
    ensemble.heardAtMs.set(this.sessionId, this.server.world.nowMs);
    if (code === operations.ping.code) return this.reply(xid, { zxid: ensemble.zxid });
    const body = reader.bytes.slice(reader.offset);
    const { sessionId } = this;
    const request = { server, sessionId, xid, code, path: pathIn(body), body };
    ensemble.received.push(request);
    const verdict = ensemble.rule(request);
    if (verdict === "drop") return;
    if (verdict === "close") return this.link.destroy();
    if (typeof verdict === "number") return this.reply(xid, { errorCode: verdict });
    if (code === operations.auth.code) return this.#onAuth(body);
    ensemble.zxid += 1n;
    this.reply(xid, { zxid: ensemble.zxid, ...(verdict === "usual" ? {} : { body: verdict }) });
    if (code !== operations.closeSession.code) return;
    ensemble.sessions.delete(this.sessionId);
    this.link.end();
  }

  #onAuth(body: Uint8Array): void {
    const { auth } = readValue(authRequest, new ByteReader(body), "a login");
    const text = new TextDecoder().decode(auth ?? undefined);
    this.auths.push(text);
    const { authPassword } = this.server.ensemble;
    const isWelcome = authPassword === undefined || text === authPassword;
    this.reply(specialXids.auth, { errorCode: isWelcome ? 0 : -115 });
    if (!isWelcome) this.link.end();
  }
}

function pathIn(body: Uint8Array): string | undefined {
  try {
    return readValue(pathOnly, new ByteReader(body), "a path").path;
  } catch {
    return undefined;
  }
}
