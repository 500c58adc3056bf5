import type {
  ConnectAttempt,
  ConnectHandler,
  Endpoint,
  Link,
  LinkHandler,
  Listener,
  Network,
} from "@everhold/env";

/** Where somebody is: endpoints that agree with every part that is given. */
export type Place = Partial<Pick<Endpoint, "host" | "port">>;

/** Whoever runs what happens, one thing after the other. */
export interface Steps {
  later(step: () => void): void;
}

interface Server {
  readonly place: Place;
  readonly accept: (link: Link) => LinkHandler;
}

/** A network in memory: bytes arrive one step later, in order; links can be cut. */
export class TestNetwork implements Network {
  /** Every link that was ever made, the client's end. */
  readonly links: TestLink[] = [];
  /** Attempts that are not over. */
  readonly attempts = new Set<Endpoint>();
  /** How often somebody began to connect. */
  connectCount = 0;
  /** The most links that were open at one time. */
  openLinkCountMax = 0;
  readonly #steps: Steps;
  readonly #servers = new Set<Server>();
  readonly #silent: Place[] = [];

  constructor(steps: Steps) {
    this.#steps = steps;
  }

  /** Links that are open. */
  get openLinks(): TestLink[] {
    return this.links.filter((link) => !link.closed);
  }

  /** Accepts connections at a place until the returned function is called. */
  serve(place: Place, accept: Server["accept"]): () => void {
    const server = { place, accept };
    this.#servers.add(server);
    return () => void this.#servers.delete(server);
  }

  /** From now on nobody answers at a place, not even with a refusal. */
  silence(place: Place): void {
    this.#silent.push(place);
  }

  async listen(endpoint: Endpoint, accept: Server["accept"]): Promise<Listener> {
    const stop = this.serve(endpoint, accept);
    return { endpoint, close: async () => stop() };
  }

  connect(endpoint: Endpoint, attempt: ConnectHandler): ConnectAttempt {
    this.connectCount += 1;
    let cancelled = false;
    this.attempts.add(endpoint);
    this.#steps.later(() => {
      if (cancelled || this.#silent.some((place) => isAt(endpoint, place))) return;
      this.attempts.delete(endpoint);
      const server = [...this.#servers].find(({ place }) => isAt(endpoint, place));
      if (server === undefined) return attempt.onFailed(new Error("connection refused"), true);
      const near = new TestLink(this.#steps, "server");
      const far = new TestLink(this.#steps, "client");
      near.other = far;
      far.other = near;
      this.links.push(near);
      this.openLinkCountMax = Math.max(this.openLinkCountMax, this.openLinks.length);
      far.handler = server.accept(far);
      near.handler = attempt.onConnected(near);
    });
    return {
      cancel: () => {
        cancelled = true;
        this.attempts.delete(endpoint);
      },
    };
  }
}

/** One end of a connection in memory. */
export class TestLink implements Link {
  readonly peer: string;
  readonly queuedBytes = 0;
  handler: LinkHandler | undefined;
  other: TestLink | undefined;
  closed = false;
  sendCount = 0;
  readonly #steps: Steps;

  constructor(steps: Steps, peer: string) {
    this.#steps = steps;
    this.peer = peer;
  }

  send(bytes: Uint8Array): void {
    this.sendCount += 1;
    const copy = bytes.slice();
    this.#steps.later(() => {
      this.handler?.onSent(bytes);
      if (!this.closed) this.other?.receive(copy);
    });
  }

  receive(bytes: Uint8Array): void {
    if (this.closed) return;
    this.handler?.onData(bytes);
    // The bytes are the link's again: whoever kept them would see this.
    bytes.fill(0xee);
  }

  pause(): void {
    throw new Error("not used");
  }

  resume(): void {
    throw new Error("not used");
  }

  end(): void {
    this.#steps.later(() => this.cut());
  }

  destroy(): void {
    this.cut();
  }

  /** The connection is gone, at both ends; bytes on their way are lost. */
  cut(error?: Error): void {
    if (this.closed) return;
    this.closed = true;
    this.#steps.later(() => this.handler?.onClosed(error));
    const other = this.other;
    if (other !== undefined && !other.closed) {
      other.closed = true;
      this.#steps.later(() => other.handler?.onClosed(error));
    }
  }
}

function isAt(endpoint: Endpoint, { host, port }: Place): boolean {
  return (host ?? endpoint.host) === endpoint.host && (port ?? endpoint.port) === endpoint.port;
}
