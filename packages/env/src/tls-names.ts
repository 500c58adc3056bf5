import { EverholdError, nearestName } from "@everhold/base";
import type { Tls } from "./tls.ts";

/** TLS as whoever connects has it. Names are those of Node's `tls`; what is left out is as there. */
export type ConnectTls = Omit<Tls, "requestCert">;

/**
 * Refuses names that nobody knows: without what they ask for, TLS would silently be less safe, or fail for a
 * reason that is hard to see.
 *
 * @throws EverholdError EVH_CONFIG naming the option, and the one that it is most like
 */
export function checkTlsNames(tls: ConnectTls): void {
  checkNames("tls.", tls, tlsNames);
  for (const [name, value] of Object.entries(tls)) {
    const materials: readonly unknown[] = Array.isArray(value) ? value : [value];
    for (const material of materials) {
      if (typeof material !== "object" || material === null) continue;
      if (material instanceof Uint8Array) continue;
      checkNames(`tls.${name}.`, material, materialNames);
    }
  }
}

function checkNames(prefix: string, found: object, names: Readonly<Record<string, true>>): void {
  const known = Object.keys(names);
  for (const name of Object.keys(found)) {
    if (Object.hasOwn(names, name)) continue;
    const nearest = nearestName(name, known);
    throw new EverholdError(
      "EVH_CONFIG",
      `Cannot use the option ${prefix}${name}: found no option of that name, expected ` +
        (nearest === undefined ? `one of ${known.join(", ")}` : `perhaps ${prefix}${nearest}`),
    );
  }
}

const tlsNames: Readonly<Record<keyof ConnectTls, true>> = {
  ca: true,
  cert: true,
  key: true,
  pfx: true,
  passphrase: true,
  minVersion: true,
  maxVersion: true,
  ciphers: true,
  rejectUnauthorized: true,
  servername: true,
  checkServerIdentity: true,
};
const materialNames = { file: true, passphrase: true } as const;
