import { once } from "node:events";
import { connect, type Socket } from "node:net";

import { patienceMs } from "./until.ts";

/** A session, as a client must name it to have it back. */
export interface SessionIdentity {
  readonly sessionId: bigint;
  readonly password: Uint8Array;
}

/** A frame as it came, without its length. */
export interface RawReply {
  readonly bytes: Buffer;
  readonly xid: number;
  readonly zxid: bigint;
  readonly errorCode: number;
  /** What follows the header. */
  readonly body: Buffer;
}

/** A connection to a server that sends what it is told to, right or wrong, and shows what comes. */
export class RawZooKeeper implements Disposable {
  /** Frames that came and nobody has taken, without their lengths. */
  readonly #frames: Buffer[] = [];
  readonly #socket: Socket;
  #rest = Buffer.alloc(0);
  #isClosed = false;
  #onChange: () => void = () => undefined;
  #xid = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => {
      this.#rest = Buffer.concat([this.#rest, bytes]);
      while (this.#rest.length >= 4 && this.#rest.length >= 4 + this.#rest.readInt32BE()) {
        const end = 4 + this.#rest.readInt32BE();
        this.#frames.push(this.#rest.subarray(4, end));
        this.#rest = this.#rest.subarray(end);
      }
      this.#onChange();
    });
    // Servers break off where a client does wrong; `close` tells.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#isClosed = true;
      this.#onChange();
    });
  }

  static async connect(port: number): Promise<RawZooKeeper> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new RawZooKeeper(socket);
  }

  /** Asks for a new session, or to have one back, and returns the frame that answers. */
  async handshake(timeoutMs: number, session?: SessionIdentity): Promise<Buffer> {
    this.sendFrame(handshakeRequest(timeoutMs, session));
    return this.nextFrame();
  }

  /** Sends a request with a number of its own and returns the next frame that is no notification. */
  async request(operation: number, body: Uint8Array = empty, xid?: number): Promise<RawReply> {
    this.#xid += 1;
    this.sendFrame(Buffer.concat([int(xid ?? this.#xid), int(operation), body]));
    const bytes = await this.nextFrame();
    return replyOf(bytes);
  }

  sendFrame(payload: Uint8Array): void {
    this.#socket.write(Buffer.concat([int(payload.length), payload]));
  }

  /** @throws Error when the server closes first */
  async nextFrame(): Promise<Buffer> {
    const frame = await this.frameOrEnd();
    if (frame === undefined) throw new Error("the server closed the connection");
    return frame;
  }

  /** The next frame; `undefined` when the server has closed the connection and there is none. */
  async frameOrEnd(): Promise<Buffer | undefined> {
    const frame = await this.#wait("a frame came", () => this.#frames.shift());
    return frame === "closed" ? undefined : frame;
  }

  /** Returns when the server has closed the connection. */
  async closed(): Promise<void> {
    await this.#wait<never>("the server closed the connection", () => undefined);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  async #wait<T>(what: string, ask: () => T | undefined): Promise<T | "closed"> {
    const deadlineMs = performance.now() + patienceMs;
    for (;;) {
      const answer = ask();
      if (answer !== undefined) return answer;
      if (this.#isClosed) return "closed";
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) throw new Error(`${what}: this did not come about`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#onChange = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

/** What a connection begins with. */
export function handshakeRequest(timeoutMs: number, session?: SessionIdentity): Buffer {
  return Buffer.concat([
    ...[int(0), long(0n), int(timeoutMs), long(session?.sessionId ?? 0n)],
    ...[buffer(session?.password ?? new Uint8Array(16)), Uint8Array.of(0)],
  ]);
}

/** The header of a frame, and what follows it. */
export function replyOf(bytes: Buffer): RawReply {
  return {
    bytes,
    xid: bytes.readInt32BE(0),
    zxid: bytes.readBigInt64BE(4),
    errorCode: bytes.readInt32BE(12),
    body: bytes.subarray(16),
  };
}

/** The session that a handshake's answer tells of. */
export function sessionOf(answer: Buffer): SessionIdentity & { readonly timeoutMs: number } {
  return {
    timeoutMs: answer.readInt32BE(4),
    sessionId: answer.readBigInt64BE(8),
    password: answer.subarray(20, 36),
  };
}

const empty = new Uint8Array();

export function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

export function long(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt.asIntN(64, value));
  return bytes;
}

/** A text or bytes with their length before them; `null` is told from empty. */
export function buffer(value: string | Uint8Array | null): Buffer {
  if (value === null) return int(-1);
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  return Buffer.concat([int(bytes.length), bytes]);
}
