import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as dial, type Socket } from "node:net";
import { deferred } from "@everhold/base";
import type { Link, LinkHandler, Listener, Log, WebSocketUse } from "@everhold/env";
import { NodeNetwork } from "../network.ts";

/** Where all of this happens. */
export const host = "127.0.0.1";
const key = "dGhlIHNhbXBsZSBub25jZQ==";

/** What the accepting side of one connection lived through. */
export class Side implements LinkHandler {
  readonly closed = deferred<Error | undefined>();
  readonly sent: Uint8Array[] = [];
  readonly link: Link;
  received = Buffer.alloc(0);
  #waiter: (() => void) | undefined;

  constructor(link: Link) {
    this.link = link;
  }

  onData(bytes: Uint8Array): void {
    this.received = Buffer.concat([this.received, bytes]);
    this.#waiter?.();
  }

  onSent(bytes: Uint8Array): void {
    this.sent.push(bytes);
  }

  onDrained(): void {
    // Nobody waits for it here.
  }

  onClosed(error: Error | undefined): void {
    this.closed.resolve(error);
  }

  async gets(byteCount: number): Promise<Buffer> {
    while (this.received.length < byteCount) {
      await new Promise<void>((resolve) => {
        this.#waiter = resolve;
      });
    }
    return this.received;
  }
}

/** An acceptor, those it let in, and what it logged. */
export class Acceptor {
  readonly sides: Side[] = [];
  readonly lines: string[] = [];
  readonly sockets: Socket[] = [];
  readonly network: NodeNetwork;
  #listener: Listener | undefined;

  constructor() {
    const line = (message: string, fields: object = {}): void => {
      this.lines.push(`${message} ${JSON.stringify(fields)}`);
    };
    const log: Log = { debug: line, info: line, warn: line, error: line };
    this.network = new NodeNetwork(log);
  }

  get port(): number {
    return this.#listener?.endpoint.port ?? 0;
  }

  async open(webSocket: WebSocketUse = {}): Promise<this> {
    this.#listener = await this.network.listen({ host, port: 0, webSocket }, (link) => {
      const side = new Side(link);
      this.sides.push(side);
      return side;
    });
    return this;
  }

  /** A bare connection. */
  async dial(): Promise<Socket> {
    const socket = dial({ host, port: this.port });
    socket.on("error", () => undefined);
    this.sockets.push(socket);
    await once(socket, "connect");
    return socket;
  }

  /** Writes, and gives all that comes until the acceptor closes. */
  async ask(text: string): Promise<string> {
    const socket = await this.dial();
    socket.write(text);
    return allOf(socket);
  }

  /** A connection that has been upgraded by hand. */
  async upgraded(): Promise<Socket> {
    const socket = await this.dial();
    socket.write(handshake({}));
    const [head] = await once(socket, "data");
    assert.match(String(head), /^HTTP\/1\.1 101 [\s\S]*s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/);
    return socket;
  }

  side(index = 0): Side {
    const side = this.sides[index];
    assert.ok(side);
    return side;
  }

  async connect(): Promise<Side> {
    const connected = deferred<Side>();
    this.network.connect(
      { host, port: this.port, webSocket: { path: "/mq" } },
      {
        onConnected: (link) => {
          const side = new Side(link);
          connected.resolve(side);
          return side;
        },
        onFailed: (error) => connected.reject(error),
      },
    );
    return connected.promise;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    for (const side of this.sides) side.link.destroy();
    await this.#listener?.close();
  }
}

/** An upgrade as browsers ask for it; `undefined` leaves a header out. */
export function handshake(
  changes: Readonly<Record<string, string | undefined>>,
  method = "GET",
): string {
  const headers: Readonly<Record<string, string | undefined>> = {
    Host: "localhost:61616",
    Upgrade: "websocket",
    Connection: "keep-alive, Upgrade",
    "Sec-WebSocket-Key": key,
    "Sec-WebSocket-Version": "13",
    ...changes,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}`],
  );
  return [`${method} / HTTP/1.1`, ...lines, "", ""].join("\r\n");
}

/** All that comes until the other side closes. */
export async function allOf(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "close");
  return Buffer.concat(chunks).toString("latin1");
}

/** A frame from a client (RFC 6455, 5.2). */
export function frame(
  opcode: number,
  payload: Uint8Array,
  { isLast = true, isMasked = true, reserved = 0, saysBytes = payload.length } = {},
): Buffer {
  const head = [(isLast ? 0x80 : 0) | reserved | opcode];
  const mask = isMasked ? 0x80 : 0;
  if (saysBytes < 126) head.push(mask | saysBytes);
  else if (saysBytes < 65_536) head.push(mask | 126, saysBytes >> 8, saysBytes & 255);
  else {
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(saysBytes));
    head.push(mask | 127, ...length);
  }
  if (!isMasked) return Buffer.concat([Buffer.from(head), payload]);
  const bits = Buffer.from([1, 2, 3, 4]);
  const masked = Buffer.from(payload.map((byte, index) => byte ^ (bits[index & 3] ?? 0)));
  return Buffer.concat([Buffer.from(head), bits, masked]);
}
