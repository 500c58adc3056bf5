import { z } from "zod";

import { choice, flag, leaf, text } from "./leaves.ts";

/** One file, or PEM itself as \`file:\` and environment variables give it; or several. */
function materials(meaning: string): z.ZodType<readonly string[]> {
  return leaf(`${meaning}: a file's name, PEM, or a list of them`, (value) => {
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    const texts = list.filter((one) => typeof one === "string" && one !== "");
    return list.length > 0 && texts.length === list.length ? texts.map(String) : undefined;
  });
}

const versions = choice(["TLSv1.2", "TLSv1.3"]);

/** TLS of what listens, in Node's own words. Files are read again when they change. */
export const tls = z.strictObject({
  cert: materials("the acceptor's certificate").optional(),
  key: text("the certificate's key").optional(),
  /** Certificate and key in one: PKCS12, or PEM with both. */
  pfx: text("a file with certificate and key").optional(),
  passphrase: text("the password of key or pfx").optional(),
  /** Who is trusted to sign clients' certificates. */
  ca: materials("those whom clients' certificates are signed by").optional(),
  /** The password of a PKCS12 store among `ca`. */
  caPassphrase: text("the password of ca").optional(),
  requestCert: flag().optional(),
  rejectUnauthorized: flag().optional(),
  minVersion: versions.optional(),
  maxVersion: versions.optional(),
  ciphers: text("cipher suites").optional(),
});
