import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";

import { buffer, int, long } from "./raw-zookeeper.ts";

/** What a fake server answers to a frame; `undefined` for nothing. The bytes go out as they are, lengths and all. */
export type Answer = (frame: Buffer, index: number) => Uint8Array | undefined;

/** A server on 127.0.0.1 that answers whatever it is told to, right or wrong. */
export class FakeServer implements Disposable {
  readonly port: number;
  /** Connections that were ever made to it. */
  connectionCount = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, port: number, answer: Answer) {
    this.#server = server;
    this.port = port;
    server.on("connection", (socket: Socket) => {
      this.connectionCount += 1;
      this.#sockets.add(socket);
      let rest = Buffer.alloc(0);
      let index = 0;
      socket.on("data", (bytes: Buffer) => {
        rest = Buffer.concat([rest, bytes]);
        while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE()) {
          const end = 4 + rest.readInt32BE();
          const reply = answer(rest.subarray(4, end), index);
          rest = rest.subarray(end);
          index += 1;
          if (reply !== undefined) socket.write(reply);
        }
      });
      // Whoever was lied to breaks off.
      socket.on("error", () => undefined);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  static async start(answer: Answer): Promise<FakeServer> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (typeof address !== "object" || address === null) throw new Error("no port was given");
    return new FakeServer(server, address.port, answer);
  }

  [Symbol.dispose](): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** A frame with its length. */
export function framed(...parts: readonly Uint8Array[]): Buffer {
  const payload = Buffer.concat(parts);
  return Buffer.concat([int(payload.length), payload]);
}

/** The answer to a handshake that grants a session. */
export function granted(timeoutMs = 10_000): Buffer {
  const password = buffer(new Uint8Array(16).fill(7));
  return framed(int(0), int(timeoutMs), long(0x77n), password, Uint8Array.of(0));
}

/** The header of an answer to `request`, and what follows it. */
export function answerTo(request: Buffer, errorCode: number, ...body: Uint8Array[]): Buffer {
  return framed(request.subarray(0, 4), long(1n), int(errorCode), ...body);
}
