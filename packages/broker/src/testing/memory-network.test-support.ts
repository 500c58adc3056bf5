import { EverholdError } from "@everhold/base";
import type { ConnectAttempt, Endpoint, Link, LinkHandler, Listener, Network } from "@everhold/env";

/** The test's end of a connection to the process under test. */
export class TestSocket {
  /** What the process has sent and the test has not taken. */
  received: Uint8Array[] = [];
  isClosed = false;
  /** While false, the process's bytes stay in its queue, as with a peer that never reads. */
  isReading = true;
  /** How often the process stopped reading. */
  isPausedByPeer = false;
  readonly #schedule: (event: () => void) => void;
  readonly #link: MemoryLink;
  handler: LinkHandler | undefined = undefined;
  #unread: Uint8Array[] = [];

  constructor(schedule: (event: () => void) => void, peer: string) {
    this.#schedule = schedule;
    this.#link = new MemoryLink(this, peer, schedule);
  }

  get link(): MemoryLink {
    return this.#link;
  }

  /** Sends bytes to the process, as one chunk. */
  send(bytes: Uint8Array): void {
    const chunk = bytes.slice();
    this.#schedule(() => {
      if (this.#link.isGone) return;
      if (this.isPausedByPeer) this.#unread.push(chunk);
      else this.handler?.onData(chunk);
    });
  }

  /** Reads on; what was queued arrives. */
  read(): void {
    this.isReading = true;
    this.#link.drain();
  }

  /** The process reads on. */
  resumed(): void {
    this.isPausedByPeer = false;
    for (const chunk of this.#unread.splice(0)) this.send(chunk);
  }

  /** The connection breaks, or the test closes it. */
  close(error?: Error): void {
    this.#schedule(() => {
      this.#link.gone(error);
    });
  }
}

/** The process's end. */
class MemoryLink implements Link {
  readonly peer: string;
  isGone = false;
  readonly #socket: TestSocket;
  readonly #schedule: (event: () => void) => void;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #isEnding = false;

  constructor(socket: TestSocket, peer: string, schedule: (event: () => void) => void) {
    this.#socket = socket;
    this.peer = peer;
    this.#schedule = schedule;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  send(bytes: Uint8Array): void {
    if (this.isGone || this.#isEnding) {
      this.#schedule(() => this.#socket.handler?.onSent(bytes));
      return;
    }
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.#schedule(() => {
      this.drain();
    });
  }

  /** Hands over what is queued, if the test reads. */
  drain(): void {
    if (!this.#socket.isReading || this.isGone) return;
    const had = this.#queuedBytes > 0;
    for (const bytes of this.#queue.splice(0)) {
      this.#socket.received.push(bytes.slice());
      this.#queuedBytes -= bytes.length;
      this.#socket.handler?.onSent(bytes);
    }
    if (had) this.#socket.handler?.onDrained();
    if (this.#isEnding) this.gone(undefined);
  }

  pause(): void {
    this.#socket.isPausedByPeer = true;
  }

  resume(): void {
    this.#socket.resumed();
  }

  end(): void {
    this.#isEnding = true;
    this.#schedule(() => {
      this.drain();
    });
  }

  destroy(): void {
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#schedule(() => {
      this.gone(undefined);
    });
  }

  gone(error: Error | undefined): void {
    if (this.isGone) return;
    this.isGone = true;
    this.#socket.isClosed = true;
    this.#socket.handler?.onClosed(error);
  }
}

/** A network of one process: tests connect to what it listens on. */
export class MemoryNetwork implements Network {
  readonly #schedule: (event: () => void) => void;
  #accept: ((link: Link) => LinkHandler) | undefined = undefined;
  #count = 0;

  constructor(schedule: (event: () => void) => void) {
    this.#schedule = schedule;
  }

  listen(endpoint: Endpoint, accept: (link: Link) => LinkHandler): Promise<Listener> {
    this.#accept = accept;
    const close = (): Promise<void> => {
      this.#accept = undefined;
      return Promise.resolve();
    };
    return Promise.resolve({ endpoint, close });
  }

  connect(): ConnectAttempt {
    throw new EverholdError("EVH_NOT_CONNECTED", "the broker does not connect anywhere");
  }

  /** A new connection to the process. */
  dial(): TestSocket {
    if (this.#accept === undefined) throw new Error("nobody listens");
    this.#count += 1;
    const socket = new TestSocket(this.#schedule, `test:${this.#count}`);
    socket.handler = this.#accept(socket.link);
    return socket;
  }
}
