import type { ErrorCode } from "@everhold/base";

import { systemCodeOf } from "../system-error.ts";

/** What is known of a failure of TLS: its code, and what happened with what to do about it. */
export interface TlsFailure {
  readonly code: ErrorCode;
  readonly reason: string;
}

/** What Node says of a certificate that is not accepted (OpenSSL, `X509_verify_cert_error_string`). */
const refusals: Readonly<Record<string, TlsFailure>> = {
  CERT_HAS_EXPIRED: {
    code: "EVH_CERTIFICATE_EXPIRED",
    reason:
      "its certificate, or one that it rests on, has expired; renew it, or look at this machine's clock",
  },
  CERT_NOT_YET_VALID: {
    code: "EVH_CERTIFICATE_EXPIRED",
    reason: "its certificate is not valid yet; look at this machine's clock",
  },
  DEPTH_ZERO_SELF_SIGNED_CERT: {
    code: "EVH_CERTIFICATE_SELF_SIGNED",
    reason:
      "its certificate is signed by itself; give that certificate as the TLS option ca to trust it",
  },
  ...sameFor(
    [
      "SELF_SIGNED_CERT_IN_CHAIN",
      "UNABLE_TO_GET_ISSUER_CERT",
      "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      "CERT_UNTRUSTED",
    ],
    {
      code: "EVH_CERTIFICATE_UNKNOWN_ISSUER",
      reason:
        "its certificate is signed by nobody that is trusted here; give the issuer's as the TLS option ca",
    },
  ),
  ERR_TLS_CERT_ALTNAME_INVALID: {
    code: "EVH_CERTIFICATE_HOST_NAME",
    reason: "its certificate is for another name",
  },
};

/** What the other side may say of our certificate, by a TLS alert. */
const alerts: Readonly<Record<string, TlsFailure>> = {
  ...sameFor(["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE"], {
    code: "EVH_CLIENT_CERTIFICATE",
    reason:
      "it asks for a client certificate that it did not get; give one by the TLS options cert and key",
  }),
  ...sameFor(
    [
      "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
      "ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN",
      "ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
      "ERR_SSL_TLSV1_ALERT_ACCESS_DENIED",
    ],
    {
      code: "EVH_CLIENT_CERTIFICATE",
      reason: "it does not trust the client certificate; its issuer must be known there",
    },
  ),
  ...sameFor(
    ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED", "ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED"],
    {
      code: "EVH_CLIENT_CERTIFICATE",
      reason: "it says that the client certificate has expired or was revoked; renew it",
    },
  ),
};

const handshakes: Readonly<Record<string, string>> = {
  ERR_SSL_WRONG_VERSION_NUMBER: "what listens there does not speak TLS",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "what listens there does not speak TLS",
  ERR_SSL_UNSUPPORTED_PROTOCOL:
    "the two have no version of TLS in common; look at minVersion and maxVersion",
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION:
    "the two have no version of TLS in common; look at minVersion and maxVersion",
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE:
    "the two have no cipher in common, or it asks for a client certificate (TLS options cert and key)",
};

/** What an error says about TLS; `undefined` when it is one of the network alone. */
export function tlsFailureOf(error: unknown): TlsFailure | undefined {
  const code = systemCodeOf(error);
  if (code === undefined) return undefined;
  const known = refusals[code] ?? alerts[code];
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID" && known !== undefined) {
    const names = error instanceof Error ? error.message.replace(/^.*?altnames: /, "") : "";
    return {
      ...known,
      reason: `${known.reason} (${names}); connect by a name that it has, or set servername`,
    };
  }
  if (known !== undefined) return { ...known, reason: `${known.reason} (${code})` };
  if (!code.startsWith("ERR_SSL_") && code !== "EPROTO") return undefined;
  const reason = handshakes[code] ?? "the TLS handshake failed";
  return { code: "EVH_TLS", reason: `${reason} (${code})` };
}

function sameFor(codes: readonly string[], failure: TlsFailure): Record<string, TlsFailure> {
  return Object.fromEntries(codes.map((code) => [code, failure]));
}
