import type { AuthInfo, ServerConnection } from "../connection/server-connection.ts";
import { saslLogin } from "../connection/sasl-login.ts";
import type { Restored, Restoring } from "./session-hooks.ts";
import type { SessionPorts, SessionSettings } from "./session-settings.ts";

/** What a fresh connection is to be given. */
export interface Preparation {
  readonly ports: SessionPorts;
  readonly settings: Pick<SessionSettings, "sasl">;
  readonly auths: readonly AuthInfo[];
  /** Brings the watches back; what it sends goes out behind the identities. */
  readonly restore: (restoring: Restoring) => Promise<Restored | undefined>;
  readonly restoring: Restoring;
}

/**
 * Does what comes before the application's requests: the login, the identities, the watches.
 * @throws EverholdError which ends the connection
 */
export async function makeReady(
  connection: ServerConnection,
  { ports, settings, auths, restore, restoring }: Preparation,
): Promise<Restored | undefined> {
  if (settings.sasl !== undefined) {
    const { digests, random } = ports;
    await saslLogin(connection, settings.sasl, { digests, random });
  }
  const identities = auths.map((auth) => connection.authenticate(auth));
  const [restored] = await Promise.all([restore(restoring), ...identities]);
  if (connection.endError !== undefined) throw connection.endError;
  return restored;
}
