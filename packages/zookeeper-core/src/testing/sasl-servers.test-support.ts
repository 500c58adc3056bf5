import { createHash } from "node:crypto";
import { ByteReader, ByteWriter, readValue, writeValue } from "@everhold/wire";
import { operations } from "../protocol/operations.ts";
import { saslToken } from "../protocol/records.ts";
import type { ReceivedRequest, TestEnsemble, Verdict } from "./test-ensemble.test-support.ts";

const text = (bytes: Uint8Array | null): string => new TextDecoder().decode(bytes ?? undefined);
const md5 = (...parts: (string | Uint8Array)[]): Buffer => {
  const hash = createHash("md5");
  for (const part of parts) hash.update(part);
  return hash.digest();
};
/** What a server begins a login with. */
export const challenge =
  'realm="zk-sasl-md5",nonce="n+ce",charset=utf-8,algorithm=md5-sess,qop="auth"';

/** What a server that knows the password answers to a token of a client. */
function serverAnswer(token: string, password: string): string | undefined {
  const value = (name: string): string => new RegExp(`${name}="?([^",]*)`).exec(token)?.[1] ?? "";
  const secret = md5(`${value("username")}:${value("realm")}:${password}`);
  const session = md5(secret, `:${value("nonce")}:${value("cnonce")}`).toString("hex");
  const response = (method: string): string => {
    const target = md5(`${method}:${value("digest-uri")}`).toString("hex");
    return md5(`${session}:${value("nonce")}:00000001:${value("cnonce")}:auth:${target}`).toString(
      "hex",
    );
  };
  return value("response") === response("AUTHENTICATE") ? `rspauth=${response("")}` : undefined;
}

/** The body of a request or an answer with a token. */
export function tokenBody(token: string | null): Uint8Array {
  const writer = new ByteWriter();
  const bytes = token === null ? null : new TextEncoder().encode(token);
  writeValue(saslToken, writer, { token: bytes });
  return writer.toBytes();
}

/** Servers that log clients in with SASL, and end the connection of whoever asks for anything before. */
export function saslServers(ensemble: TestEnsemble, password: string, proof?: string): void {
  const loggedIn = new Set<bigint>();
  ensemble.rule = ({ code, body, sessionId }: ReceivedRequest): Verdict => {
    if (code !== operations.sasl.code) return loggedIn.has(sessionId) ? "usual" : -124;
    const { token } = readValue(saslToken, new ByteReader(body), "a token");
    if (text(token) === "") return tokenBody(challenge);
    const answer = serverAnswer(text(token), password);
    if (answer === undefined) return -115;
    loggedIn.add(sessionId);
    return tokenBody(proof ?? answer);
  };
}
