import { once } from "node:events";
import { connect, type Socket } from "node:net";

import {
  ByteWriter,
  channelIdAt,
  encodePacket,
  frameHeaderBytes,
  FrameReader,
  magicBytes,
  packetIdAt,
  type FieldTable,
  type PacketDefinition,
  type ValueOf,
} from "@everhold/wire";

/** One frame that a broker sent. */
export interface RawFrame {
  readonly packetId: number;
  readonly channelId: number;
  /** What stands behind the header. */
  readonly body: Uint8Array;
}

/** A connection that sends and receives single CORE packets and has no opinion about them. */
export class RawConnection {
  /** What arrived and was not taken yet. */
  readonly frames: RawFrame[] = [];
  /** The version at which packets are written and read. */
  readonly version: number;
  /** The broker closed it, or it broke. */
  isClosed = false;
  /** When something happened last, on the clock of `performance.now`. */
  activeMs = performance.now();
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  #wake: (() => void) | undefined;

  private constructor(socket: Socket, version: number) {
    this.#socket = socket;
    this.version = version;
    socket.setNoDelay(true);
    socket.on("data", (bytes) => this.#onData(bytes));
    // What matters is that it ended; how, differs from system to system.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.isClosed = true;
      this.#notify();
    });
  }

  /** Connects and says that it speaks CORE. */
  static async open(port: number, version: number): Promise<RawConnection> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    const connection = new RawConnection(socket, version);
    connection.write(magicBytes);
    return connection;
  }

  /** Sends a packet; nothing happens on a closed connection. */
  send<T extends FieldTable>(
    definition: PacketDefinition<number, T>,
    channelId: number,
    value: ValueOf<T>,
  ): void {
    const writer = new ByteWriter();
    encodePacket(writer, definition, channelId, value, this.version);
    this.write(writer.toBytes());
  }

  /** Sends bytes as they are. */
  write(bytes: Uint8Array): void {
    if (!this.isClosed) this.#socket.write(bytes);
  }

  /** Waits until something arrives, the connection ends, or the time is over. */
  async activity(timeoutMs: number): Promise<void> {
    if (this.isClosed || timeoutMs <= 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }

  /** Breaks the connection as a process that dies does. */
  destroy(): void {
    this.isClosed = true;
    this.#socket.destroy();
  }

  #onData(chunk: Uint8Array): void {
    this.#reader.push(chunk, {
      onFrame: (bytes, view, start, end) => {
        this.frames.push({
          packetId: packetIdAt(view, start),
          channelId: channelIdAt(view, start),
          body: bytes.slice(start + frameHeaderBytes, end),
        });
        return true;
      },
    });
    this.#notify();
  }

  #notify(): void {
    this.activeMs = performance.now();
    this.#wake?.();
  }
}
