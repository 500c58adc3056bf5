import { ClosedError, listenForAbort } from "@everhold/base";
import { ZooKeeperError } from "../errors.ts";
import type { RequestWait } from "../session/request.ts";
import { epochOverError } from "../session/session-errors.ts";
import type { Session } from "../session/session.ts";

/** One ZooKeeper session of a client, for what must not go on in another one. */
export class SessionScope {
  /** Counts the client's sessions, from 1. */
  readonly epoch: number;
  /** The `ephemeralOwner` of what is created in it. */
  readonly sessionId: bigint;
  /** Milliseconds after which the servers end a session that they do not hear of. */
  readonly sessionTimeout: number;
  readonly #ending = new AbortController();
  readonly #stopListening: () => void;
  readonly #forgetEnding: () => void;

  private constructor(session: Session) {
    this.epoch = session.epoch;
    this.sessionId = session.sessionId;
    this.sessionTimeout = session.sessionTimeoutMs;
    this.#stopListening = session.listen((event) => {
      if (event.type === "lost" && event.epoch === this.epoch) this.#end();
    });
    // Before the servers hear that the session is to end, and others may have what it held.
    this.#forgetEnding = listenForAbort(session.ending, () => this.#end());
  }

  /**
   * The session that there is now, or the next one; with `epoch` that one only.
   * @throws what {@link Session.ready} throws; ZooKeeperError EVH_SESSION_EXPIRED when that session is over
   */
  static async of(session: Session, wait: RequestWait): Promise<SessionScope> {
    const { epoch } = wait;
    if (epoch === undefined) await connected(session, wait);
    else await connectedIn(session, epoch, wait);
    return new SessionScope(session);
  }

  /**
   * Aborted when the client gives the session up, or is closed, and when the work that was done in it has ended. A
   * notification, which a process that stands still gets late: what nobody else may do meanwhile takes a lease.
   */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** Whether the signal is aborted. */
  get isOver(): boolean {
    return this.#ending.signal.aborted;
  }

  /** @throws ZooKeeperError EVH_SESSION_EXPIRED when it is over; the outcome is `unknown`, as something was done in it */
  check(attempt: string): void {
    if (!this.isOver) return;
    throw new ZooKeeperError(
      "EVH_SESSION_EXPIRED",
      `Cannot ${attempt}: its ZooKeeper session ended meanwhile`,
      { reason: "SESSIONEXPIRED", outcome: "unknown" },
    );
  }

  /** What was done in it is done: the signal is aborted, for what still runs. */
  leave(): void {
    this.#stopListening();
    this.#forgetEnding();
    this.#ending.abort(
      new ClosedError("EVH_CLOSED", "The work that was done in one session has ended"),
    );
  }

  #end(): void {
    this.#ending.abort(
      new ZooKeeperError("EVH_SESSION_EXPIRED", "The ZooKeeper session is over", {
        reason: "SESSIONEXPIRED",
      }),
    );
  }
}

async function connected(session: Session, wait: RequestWait): Promise<void> {
  // Whoever was told that it is ready may have lost it again before we get to know.
  do await session.ready(wait);
  while (session.state !== "connected");
}

/** The same, which fails as soon as that session is over. */
async function connectedIn(session: Session, epoch: number, wait: RequestWait): Promise<void> {
  const ending = new AbortController();
  const { signal: given } = wait;
  const forgets = [
    session.listen(({ type }) => void (type === "lost" && session.isOver(epoch) && ending.abort())),
    given === undefined ? () => undefined : listenForAbort(given, () => ending.abort(given.reason)),
  ];
  const over = epochOverError({ operation: { name: "begin" } });
  if (given?.aborted === true) ending.abort(given.reason);
  try {
    if (!session.isOver(epoch)) await connected(session, { ...wait, signal: ending.signal });
  } catch (error) {
    if (session.ending.aborted || !session.isOver(epoch)) throw error;
  } finally {
    for (const forget of forgets) forget();
  }
  if (session.isOver(epoch)) throw over;
}
