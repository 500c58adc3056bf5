import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

import { ByteReader, decodePacket, FrameReader, packets } from "@everhold/wire";
import type { Conversation, ConversationEvent } from "#conversations";

/** A proxy in front of a broker that keeps what passes, frame by frame. */
export class Recorder implements AsyncDisposable {
  readonly #server: Server;
  readonly #events: ConversationEvent[] = [];
  readonly #sockets = new Set<Socket>();
  #connectionCount = 0;
  #openCount = 0;

  private constructor(targetPort: number) {
    this.#server = createServer({ noDelay: true }, (near) => {
      const connection = this.#connectionCount;
      this.#connectionCount += 1;
      const far = connect({ port: targetPort, host: "127.0.0.1", noDelay: true });
      this.#openCount += 2;
      this.#pass(connection, "client", near, far);
      this.#pass(connection, "broker", far, near);
    });
  }

  /** Listens on a port of its own. */
  static async start(targetPort: number): Promise<Recorder> {
    const recorder = new Recorder(targetPort);
    recorder.#server.listen(0, "127.0.0.1");
    await once(recorder.#server, "listening");
    return recorder;
  }

  get url(): string {
    const address = this.#server.address();
    return `tcp://127.0.0.1:${isAddress(address) ? address.port : 0}`;
  }

  /** What has passed. Waits until every connection is closed on both sides. */
  async conversation(who: Omit<Conversation, "events" | "version">): Promise<Conversation> {
    const deadline = performance.now() + 60_000;
    while (this.#openCount > 0 && performance.now() < deadline) {
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    return { ...who, version: versionOf(this.#events), events: this.#events };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.resolve();
  }

  #pass(connection: number, from: "client" | "broker", source: Socket, target: Socket): void {
    this.#sockets.add(source);
    const reader = new FrameReader({ expectMagic: from === "client" });
    const sink = {
      onFrame: (bytes: Uint8Array, _view: DataView, start: number, end: number): boolean => {
        this.#events.push({ connection, from, frame: bytes.slice(start, end) });
        return true;
      },
    };
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      target.end();
    };
    source.on("data", (bytes) => {
      reader.push(bytes, sink);
      target.write(bytes);
    });
    source.on("end", () => {
      const isFirst = !this.#events.some(
        (event) => event.connection === connection && event.frame === undefined,
      );
      if (isFirst) this.#events.push({ connection, from, frame: undefined });
      end();
    });
    source.on("error", end);
    source.on("close", () => {
      this.#openCount -= 1;
      end();
    });
  }
}

/** The version of the first session that the broker opened. */
function versionOf(events: readonly ConversationEvent[]): number {
  let asked = 0;
  for (const { frame } of events) {
    if (frame === undefined) continue;
    const id = frame[4];
    const reader = new ByteReader(frame.subarray(13));
    if (id === packets.createSession.id || id === packets.createSessionV2.id) {
      asked = decodePacket(packets.createSession, reader, 136).version;
    } else if (id === packets.createSessionResponse.id) return asked;
  }
  throw new Error("cannot tell the version of a conversation: no session was opened");
}

function isAddress(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === "object" && address !== null;
}
