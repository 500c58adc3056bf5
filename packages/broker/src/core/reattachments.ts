import { limits } from "../limits.ts";
import type { CoreConnection } from "./core-connection.ts";
import type { CoreSession } from "./core-session.ts";
import { Reattachment, refuseReattachment } from "./reattachment.ts";

/** What a client asks for that comes back. */
interface Request {
  readonly name: string;
  readonly lastConfirmedCommandId: number;
}

/** Who comes back on one connection for sessions that it had on others, one after the other. */
export class Reattachments {
  readonly #link: CoreConnection;
  /** The one that is under way. */
  #current: Reattachment | undefined;

  constructor(link: CoreConnection) {
    this.#link = link;
  }

  /**
   * A client asks for a session that it had on another connection. `onEnd` hears, now or later, the last packet of
   * it that was handled; `undefined` when it does not go on here.
   */
  begin(request: Request, onEnd: (lastHandled: number | undefined) => void): void {
    const session = this.#takeOver(request.name);
    if (session === undefined) {
      onEnd(undefined);
      return;
    }
    this.#current = new Reattachment(this.#link, session, (lastHandled) => {
      this.#current = undefined;
      onEnd(lastHandled);
    });
    this.#current.begin(request.lastConfirmedCommandId);
  }

  /** The connection has drained. */
  drained(): void {
    this.#current?.drained();
  }

  /**
   * The session that a client asks for, if it may be taken up again; the connection that it had is over then.
   * When it may not, it has ended, or waits for RESUME.
   */
  #takeOver(name: string): CoreSession | undefined {
    const link = this.#link;
    const session = link.server.findSession(name);
    // Who asks here for what is here has no use for it.
    if (session === undefined || session.link === link) return undefined;
    if (!this.#mayAskFor(session)) {
      const { peer } = link;
      link.engine.log.debug("A session of another user was asked for", {
        peer,
        session: session.session.logName,
      });
      return undefined;
    }
    // Where it was about to go on is given up as well. Other sessions may be there already.
    session.reattachment?.link.leave(link);
    session.link.leave(link);
    const reason = this.#whyNotHere(session);
    if (reason === undefined) return session;
    refuseReattachment(link, session, reason);
    return undefined;
  }

  /** Whoever knows a session's name may come back for it, but not somebody who is another user. */
  #mayAskFor({ session }: CoreSession): boolean {
    for (const own of this.#link.table) {
      if (own.session.user !== session.user) return false;
    }
    return true;
  }

  /** Why a session that waits cannot go on here; `undefined` when it can. */
  #whyNotHere({ isClosed, channelId, link, resend }: CoreSession): string | undefined {
    if (isClosed) return "it cannot be taken up again";
    this.#link.fixVersion(link.version);
    const { table, version } = this.#link;
    if (resend === undefined) return "what its client missed is not kept any more";
    if (version !== link.version) return "the connection speaks another version";
    if (table.get(channelId) !== undefined) return "its channel is in use";
    if (table.size < limits.sessionsPerConnectionMax) return undefined;
    return "the connection has too many sessions";
  }
}
