import type { CoreServer } from "./core-server.ts";
import type { CoreSession } from "./core-session.ts";

/** The sessions of one connection, by their channels. The server knows them by their names. */
export class SessionTable {
  readonly #server: CoreServer;
  readonly #byChannel = new Map<number, CoreSession>();

  constructor(server: CoreServer) {
    this.#server = server;
  }

  get size(): number {
    return this.#byChannel.size;
  }

  get(channelId: number): CoreSession | undefined {
    return this.#byChannel.get(channelId);
  }

  /** Whether it is one of them. */
  has(session: CoreSession): boolean {
    return this.#byChannel.get(session.channelId) === session;
  }

  [Symbol.iterator](): Iterator<CoreSession> {
    return this.#byChannel.values();
  }

  /** A session that was opened. */
  add(session: CoreSession): void {
    this.#byChannel.set(session.channelId, session);
    this.#server.sessionOpened(session);
  }

  /** A session that has ended. */
  remove(session: CoreSession): void {
    if (this.has(session)) this.#byChannel.delete(session.channelId);
    this.#server.sessionClosed(session);
  }

  /** Ends one of them. */
  end(session: CoreSession, isFailure: boolean): void {
    session.close(isFailure);
    this.remove(session);
  }

  /** One of them goes on with another connection. */
  handOver(session: CoreSession, to: SessionTable): void {
    this.#byChannel.delete(session.channelId);
    to.#byChannel.set(session.channelId, session);
  }
}
