import { deadlineIn, waitFor } from "@everhold/env";
import type { AuthInfo, ServerConnection } from "../connection/server-connection.ts";
import { saslLogin } from "../connection/sasl-login.ts";
import type { Restored, Restoring } from "./session-hooks.ts";
import { sessionLimits as limits } from "./session-limits.ts";
import type { SessionPorts, SessionSettings } from "./session-settings.ts";

/** What a fresh connection is to be given. */
export interface Preparation {
  readonly ports: SessionPorts;
  readonly settings: Pick<SessionSettings, "sasl">;
  readonly auths: readonly AuthInfo[];
  /** Puts the session where the next process finds it, before anything is done in it; `undefined` for nowhere. */
  readonly keep: (() => Promise<void>) | undefined;
  /** Brings the watches back; what it sends goes out behind the identities. */
  readonly restore: (restoring: Restoring) => Promise<Restored | undefined>;
  readonly restoring: Restoring;
}

/**
 * Does what comes before the application's requests: the login, the identities, the watches. A server may answer pings
 * and nothing else, so it has so long as the session lasts, but no less than half a minute.
 * @throws EverholdError which ends the connection; EVH_ABORTED where nobody wants it any more
 */
export function makeReady(
  connection: ServerConnection,
  preparation: Preparation,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<Restored | undefined> {
  const { ports } = preparation;
  const deadlineMs = deadlineIn(ports, Math.max(timeoutMs, limits.readyMsMin));
  const subject = {
    attempt: `use the connection to ${connection.server}`,
    outcome: () => "none" as const,
  };
  const prepared = prepare(connection, preparation);
  return waitFor(ports, { deadlineMs, signal }, subject, prepared);
}

async function prepare(
  connection: ServerConnection,
  { ports, settings, auths, keep, restore, restoring }: Preparation,
): Promise<Restored | undefined> {
  if (keep !== undefined) await keep();
  if (settings.sasl !== undefined) {
    const { digests, random } = ports;
    await saslLogin(connection, settings.sasl, { digests, random });
  }
  const identities = auths.map((auth) => connection.authenticate(auth));
  const [restored] = await Promise.all([restore(restoring), ...identities]);
  if (connection.endError !== undefined) throw connection.endError;
  return restored;
}
