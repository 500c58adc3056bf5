import { connect, type Socket } from "node:net";
import { once } from "node:events";

/** Sends and takes values as lines of JSON. Both ends are programs of this folder and trust each other. */
export class LineLink {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    // `close` follows, and tells.
    socket.on("error", () => undefined);
  }

  static async open(port: number): Promise<LineLink> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new LineLink(socket);
  }

  /** Calls `listener` with all that comes, from now on. Half a line of one that was killed counts for nothing. */
  onValue(listener: (value: object) => void): void {
    let rest = "";
    this.#socket.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const value: unknown = JSON.parse(line);
        if (typeof value !== "object" || value === null) throw new Error(`found ${line}`);
        listener(value);
      }
    });
  }

  /** When all has come; that the connection broke is no error here. */
  closed(): Promise<void> {
    if (this.#socket.closed) return Promise.resolve();
    return new Promise((resolve) => this.#socket.once("close", () => resolve()));
  }

  onClose(listener: () => void): void {
    this.#socket.on("close", listener);
  }

  send(value: object): void {
    if (!this.#socket.destroyed) this.#socket.write(`${JSON.stringify(value)}\n`);
  }

  /** Ends it when all has been sent. */
  async close(): Promise<void> {
    if (this.#socket.destroyed) return;
    const closed = this.closed();
    this.#socket.end(() => this.#socket.destroy());
    await closed;
  }
}
