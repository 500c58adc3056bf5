import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import type { Carrier, NodeLink } from "../link.ts";
import { WebSocketCarrier } from "./web-socket-carrier.ts";

/** Carries a link that is still on its way in: it has nowhere to send to. */
export class Entrant implements Carrier {
  readonly writableLength = 0;
  /** Whether it has been answered, or has gone. */
  isOver = false;
  readonly #socket: Socket;
  readonly #link: NodeLink;
  #hasEntered = false;
  #isPaused = false;

  constructor(socket: Socket, link: NodeLink) {
    this.#socket = socket;
    this.#link = link;
    socket.once("close", () => {
      this.isOver = true;
      if (!this.#hasEntered) link.onClosed();
    });
  }

  /** The peer, for messages to people. */
  get peer(): string {
    return this.#link.peer;
  }

  /** From now on a WebSocket carries the link. `onFault` hears what the peer does that it may not. */
  enter(webSocket: WebSocket, onFault: (reason: string) => void): void {
    this.#hasEntered = true;
    const carrier = new WebSocketCarrier(webSocket, this.#socket, this.#link, onFault);
    this.#link.carryBy(carrier);
    if (this.#isPaused) carrier.pause();
  }

  /** Sends what is to be said last, and closes. */
  leave(lastWords: string): void {
    this.isOver = true;
    this.#socket.write(lastWords);
    this.#socket.destroySoon();
  }

  write(_bytes: Uint8Array, done: () => void): void {
    setImmediate(done);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
  }

  end(): void {
    this.#socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
