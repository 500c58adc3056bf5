import { EverholdError } from "@everhold/base";
import type { Digests, Random } from "@everhold/env";
import { readValue, writeValue } from "@everhold/wire";
import { ZooKeeperError } from "../errors.ts";
import { operations } from "../protocol/operations.ts";
import { saslToken } from "../protocol/records.ts";
import type { Requests, RequestSpec, RequestWait } from "../session/request.ts";
import { answerChallenge, hex, type SaslCredentials } from "./digest-md5.ts";

/** Bytes of randomness in a login. */
const cnonceBytes = 16;

/**
 * Logs in with DIGEST-MD5, and has the server prove that it knows the password too. Nothing else may be under way on
 * the connection meanwhile, because these answers may overtake others. Default for `wait`: no limit.
 * @throws ZooKeeperError EVH_SECURITY; ProtocolError; whatever ends the connection
 */
export async function saslLogin(
  requests: Requests,
  credentials: SaslCredentials,
  ports: { readonly digests: Digests | undefined; readonly random: Random },
  wait: RequestWait = { deadlineMs: Infinity },
): Promise<void> {
  const { digests } = ports;
  if (digests === undefined) {
    throw new EverholdError("EVH_UNSUPPORTED", "Cannot log in: this platform computes no MD5");
  }
  const challenge = await exchange(requests, new Uint8Array(0), wait);
  if (challenge === null) throw loginError("the servers are not set up to check a login with SASL");
  const random = new Uint8Array(cnonceBytes);
  ports.random.fill(random);
  const answer = answerChallenge(challenge, credentials, { digests, cnonce: hex(random) });
  const proof = await exchange(requests, answer.token, wait);
  if (proof === null || new TextDecoder().decode(proof) !== answer.proof) {
    throw loginError("the server could not prove that it knows the password");
  }
}

function exchange(
  requests: Requests,
  token: Uint8Array,
  wait: RequestWait,
): Promise<Uint8Array | null> {
  const spec: RequestSpec<Uint8Array | null> = {
    operation: operations.sasl,
    encode: (writer) => writeValue(saslToken, writer, { token }),
    decode: (reader) => readValue(saslToken, reader, "a token").token,
  };
  return requests.request(spec, wait);
}

function loginError(why: string): ZooKeeperError {
  return new ZooKeeperError("EVH_SECURITY", `Cannot log in: ${why}`, { reason: "AUTHFAILED" });
}
