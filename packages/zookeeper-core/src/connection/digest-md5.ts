import { ProtocolError } from "@everhold/base";
import type { Digests } from "@everhold/env";

/** Who logs in. */
export interface SaslCredentials {
  readonly username: string;
  readonly password: string;
}

/** What ZooKeeper's servers call themselves. Source: ZooKeeper, `SaslServerPrincipal`, `ZooKeeperSaslClient`. */
const digestUri = "zookeeper/zk-sasl-md5";

/** The answer to a server's challenge, and the proof that only a server that knows the password can give. */
export interface DigestAnswer {
  readonly token: Uint8Array;
  readonly proof: string;
}

/**
 * Answers the challenge of a DIGEST-MD5 login. Source: RFC 2831, section 2.1.2; as in Java, names and passwords are
 * hashed as ISO 8859-1 where that can say them. `cnonce` is random text.
 * @throws ProtocolError EVH_PROTOCOL for a challenge that is none, or asks for what ZooKeeper does not use
 */
export function answerChallenge(
  challenge: Uint8Array,
  { username, password }: SaslCredentials,
  { digests, cnonce }: { readonly digests: Digests; readonly cnonce: string },
): DigestAnswer {
  const directives = parseDirectives(new TextDecoder().decode(challenge));
  const nonce = directives.get("nonce");
  if (nonce === undefined) refuse("it has no nonce");
  const algorithm = directives.get("algorithm");
  if (algorithm !== "md5-sess")
    refuse(`its algorithm is ${algorithm ?? "none"}, expected md5-sess`);
  const qualities = directives
    .get("qop")
    ?.split(",")
    .map((one) => one.trim()) ?? ["auth"];
  if (!qualities.includes("auth")) refuse("it does not offer plain authentication");
  const realm = directives.get("realm") ?? "";
  const md5 = (bytes: Uint8Array): Uint8Array => digests.digest("md5", bytes);
  const secret = md5(
    joined([latinBytes(username), utf8(":"), latinBytes(realm), utf8(":"), latinBytes(password)]),
  );
  const session = hex(md5(joined([secret, utf8(`:${nonce}:${cnonce}`)])));
  const response = (method: string): string => {
    const target = hex(md5(utf8(`${method}:${digestUri}`)));
    return hex(md5(utf8(`${session}:${nonce}:00000001:${cnonce}:auth:${target}`)));
  };
  const token = [
    "charset=utf-8",
    `username=${quoted(username)}`,
    `realm=${quoted(realm)}`,
    `nonce=${quoted(nonce)}`,
    "nc=00000001",
    `cnonce=${quoted(cnonce)}`,
    `digest-uri=${quoted(digestUri)}`,
    "maxbuf=65536",
    `response=${response("AUTHENTICATE")}`,
    "qop=auth",
  ].join(",");
  return { token: utf8(token), proof: `rspauth=${response("")}` };
}

/** The parts `name=value` and `name="value"` of a challenge; of several of one name the first. */
function parseDirectives(text: string): ReadonlyMap<string, string> {
  const directives = new Map<string, string>();
  const part = /\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^,"]*))\s*(?:,|$)/gy;
  while (part.lastIndex < text.length) {
    const at = part.lastIndex;
    const found = part.exec(text);
    if (found === null) return refuse(`it is not readable from character ${at} on`);
    const [, name = "", inQuotes, plain = ""] = found;
    const value = inQuotes?.replaceAll(/\\(.)/gs, "$1") ?? plain.trim();
    if (!directives.has(name)) directives.set(name, value);
  }
  return directives;
}

function refuse(problem: string): never {
  throw new ProtocolError("EVH_PROTOCOL", `Cannot answer the server's challenge: ${problem}`);
}

function quoted(value: string): string {
  return `"${value.replaceAll(/["\\]/g, "\\$&")}"`;
}

const encoder = new TextEncoder();

function utf8(value: string): Uint8Array {
  return encoder.encode(value);
}

/** One byte a character where each fits one, else UTF-8. */
function latinBytes(value: string): Uint8Array {
  const units = Array.from({ length: value.length }, (_, index) => value.charCodeAt(index));
  return units.every((unit) => unit <= 0xff) ? Uint8Array.from(units) : utf8(value);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/** Bytes as lower-case hexadecimal digits. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
