import { EverholdError } from "@everhold/base";
import type { Tls, TlsVersion } from "@everhold/env";

/** What a URL's parameters say about TLS. */
export interface TlsParameters {
  /** `sslEnabled`; `undefined` where the URL does not say. */
  readonly isEnabled: boolean | undefined;
  readonly tls: Tls;
}

type Setter = (draft: Draft, value: string, name: string) => void;

interface Draft {
  isEnabled?: boolean;
  trustStore?: string;
  trustStorePassword?: string;
  keyStore?: string;
  keyStorePassword?: string;
  rejectUnauthorized?: boolean;
  verifyHost?: boolean;
  servername?: string;
  versions?: readonly TlsVersion[];
  ciphers?: string;
}

/**
 * What each parameter of an Artemis URL about TLS means here; `undefined`: known, and without an effect.
 * Types of stores need not be said: a store's first bytes tell.
 * Source: Artemis, `TransportConstants`.
 */
const setters = new Map<string, Setter | undefined>([
  ["sslEnabled", (draft, value, name) => void (draft.isEnabled = flag(name, value))],
  ["trustStorePath", (draft, value) => void (draft.trustStore = value)],
  ["trustStorePassword", (draft, value) => void (draft.trustStorePassword = value)],
  ["keyStorePath", (draft, value) => void (draft.keyStore = value)],
  ["keyStorePassword", (draft, value) => void (draft.keyStorePassword = value)],
  ["trustAll", (draft, value, name) => void (draft.rejectUnauthorized = !flag(name, value))],
  ["verifyHost", (draft, value, name) => void (draft.verifyHost = flag(name, value))],
  ["sniHost", (draft, value) => void (draft.servername = value)],
  ["enabledProtocols", (draft, value, name) => void (draft.versions = versions(name, value))],
  [
    "enabledCipherSuites",
    (draft, value) => void (draft.ciphers = value.split(/\s*,\s*/).join(":")),
  ],
  ["crlPath", refuse],
  ["keyStoreAlias", refuse],
  ["keyStoreType", undefined],
  ["trustStoreType", undefined],
  ["keyStoreProvider", undefined],
  ["trustStoreProvider", undefined],
  ["sslProvider", undefined],
  ["useDefaultSslContext", undefined],
  ["forceSSLParameters", undefined],
  ["needClientAuth", undefined],
  ["wantClientAuth", undefined],
]);

/** Whether a parameter of this name is about TLS. */
export function isTlsParameter(name: string): boolean {
  return setters.has(name);
}

/** What the parameters say about TLS. @throws EverholdError EVH_URL for a value that none can have */
export function readTlsParameters(parameters: ReadonlyMap<string, string>): TlsParameters {
  const draft: Draft = {};
  for (const [name, value] of parameters) setters.get(name)?.(draft, value, name);
  const { isEnabled, servername, rejectUnauthorized, ciphers } = draft;
  const sorted = draft.versions?.toSorted();
  const [minVersion] = sorted ?? [];
  const maxVersion = sorted?.at(-1);
  return {
    isEnabled,
    tls: {
      ...(draft.trustStore === undefined
        ? {}
        : { ca: store(draft.trustStore, draft.trustStorePassword) }),
      ...(draft.keyStore === undefined
        ? {}
        : { pfx: store(draft.keyStore, draft.keyStorePassword) }),
      ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
      ...(draft.verifyHost === false ? { checkServerIdentity: () => undefined } : {}),
      ...(servername === undefined ? {} : { servername }),
      ...(minVersion === undefined ? {} : { minVersion }),
      ...(maxVersion === undefined ? {} : { maxVersion }),
      ...(ciphers === undefined ? {} : { ciphers }),
    },
  };
}

function store(file: string, passphrase: string | undefined) {
  return passphrase === undefined ? { file } : { file, passphrase };
}

function versions(name: string, value: string): readonly TlsVersion[] {
  return value.split(/\s*,\s*/).map((one) => {
    if (one === "TLSv1.2" || one === "TLSv1.3") return one;
    throw parameterError(name, value, "TLSv1.2, TLSv1.3 or both, separated by a comma");
  });
}

/** What it asks for would be silently less safe without it. */
function refuse(_draft: Draft, value: string, name: string): never {
  throw parameterError(name, value, "no such parameter: this client cannot heed it");
}

function flag(name: string, value: string): boolean {
  if (value === "true" || value === "false") return value === "true";
  throw parameterError(name, value, "true or false");
}

function parameterError(name: string, value: string, expected: string): EverholdError {
  return new EverholdError(
    "EVH_URL",
    `Cannot use the URL parameter ${name}: found "${value}", expected ${expected}`,
  );
}
