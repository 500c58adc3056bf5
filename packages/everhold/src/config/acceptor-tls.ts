import { resolve } from "node:path";

import type { Tls, TlsMaterial } from "@everhold/env";

import { configError } from "./config-error.ts";
import type { Origin } from "./located-tree.ts";
import type { ConfigDocument } from "./schema.ts";

type AcceptorTls = NonNullable<NonNullable<ConfigDocument["acceptors"]>[string]["tls"]>;

/**
 * TLS of an acceptor in the network's own words. Names of files are relative to the file that says them.
 *
 * @throws EverholdError EVH_CONFIG when it has no certificate, or asks for certificates that nobody signs
 */
export function acceptorTls(said: AcceptorTls, name: string, origin: Origin | undefined): Tls {
  const { cert, key, pfx, ca, caPassphrase, requestCert, ...rest } = said;
  if (pfx === undefined && (cert === undefined || key === undefined)) {
    throw configError(
      origin?.label,
      `${name}: found no certificate, expected cert and key, or pfx`,
    );
  }
  if (requestCert === true && said.rejectUnauthorized !== false && ca === undefined) {
    throw configError(
      origin?.label,
      `${name}: found requestCert without ca, expected in ca who signs the certificates of clients`,
    );
  }
  const material = (text: string, passphrase?: string): TlsMaterial => {
    if (text.includes("-----BEGIN ")) return text;
    const file = resolve(origin?.folder ?? ".", text);
    return passphrase === undefined ? { file } : { file, passphrase };
  };
  return {
    ...withoutUndefined(rest),
    ...(requestCert === undefined ? {} : { requestCert }),
    ...(cert === undefined ? {} : { cert: cert.map((one) => material(one)) }),
    ...(key === undefined ? {} : { key: material(key) }),
    ...(pfx === undefined ? {} : { pfx: material(pfx) }),
    ...(ca === undefined ? {} : { ca: ca.map((one) => material(one, caPassphrase)) }),
  };
}

type Plain = Pick<
  Tls,
  "passphrase" | "rejectUnauthorized" | "minVersion" | "maxVersion" | "ciphers"
>;

function withoutUndefined(said: {
  readonly [Key in keyof Plain]: Plain[Key] | undefined;
}): Plain {
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
}
