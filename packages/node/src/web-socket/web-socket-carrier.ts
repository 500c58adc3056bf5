import type { Socket } from "node:net";
import type { RawData, WebSocket } from "ws";
import { limits } from "../limits.ts";
import type { Carrier, NodeLink } from "../link.ts";

/**
 * A link's bytes in binary messages of a WebSocket. How the stream is divided into messages means nothing; none
 * is larger than what Artemis takes by default. Pings of the WebSocket are answered by `ws`, so many at a time.
 */
export class WebSocketCarrier implements Carrier {
  readonly #webSocket: WebSocket;
  readonly #link: NodeLink;
  #isFaulty = false;

  /** `onFault` hears what the peer did that no WebSocket of ours may. */
  constructor(
    webSocket: WebSocket,
    socket: Socket,
    link: NodeLink,
    onFault: (reason: string) => void,
  ) {
    this.#webSocket = webSocket;
    this.#link = link;
    const fail = (error: Error): void => {
      if (this.#isFaulty) return;
      this.#isFaulty = true;
      link.onError(error);
      onFault(error.message);
      // The peer is told why before the socket goes, and has no say in when.
      setImmediate(() => socket.destroySoon());
    };
    webSocket.on("message", (data, isBinary) => {
      if (this.#isFaulty) return;
      if (isBinary) this.#receive(data);
      else {
        webSocket.close(1003, "CORE comes in binary messages");
        fail(new Error("found a text message, expected binary ones"));
      }
    });
    // By then `ws` has sent a close frame with the code that RFC 6455 has for it.
    webSocket.on("error", fail);
    webSocket.on("close", () => link.onClosed());
  }

  get writableLength(): number {
    return this.#webSocket.bufferedAmount;
  }

  write(bytes: Uint8Array, done: () => void): void {
    const bytesMax = limits.webSocketMessageBytesMax;
    let start = 0;
    for (; bytes.length - start > bytesMax; start += bytesMax) {
      this.#webSocket.send(bytes.subarray(start, start + bytesMax), { binary: true });
    }
    this.#webSocket.send(bytes.subarray(start), { binary: true }, () => done());
  }

  pause(): void {
    this.#webSocket.pause();
  }

  resume(): void {
    this.#webSocket.resume();
  }

  end(): void {
    this.#webSocket.close(1000);
  }

  destroy(): void {
    this.#webSocket.terminate();
  }

  #receive(data: RawData): void {
    // `nodebuffer`, which is the default of `ws`, gives nothing else.
    if (data instanceof Uint8Array && data.length > 0) this.#link.onData(data);
  }
}
