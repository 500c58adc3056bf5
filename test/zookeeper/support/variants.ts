import { makeCertificate, type Certificate } from "#certificates";

import type { EnsembleOptions } from "./ensemble.ts";

/** What it takes to talk to a server with TLS, and to be let in. */
export interface Certificates {
  readonly authority: Certificate;
  readonly server: Certificate;
  readonly client: Certificate;
  /** The client's, by an authority that nobody knows. */
  readonly stranger: Certificate;
}

/** What makes an ensemble of one kind. */
export type Variant = Pick<EnsembleOptions, "properties" | "javaArguments" | "files" | "isSecure">;

/** Makes certificates of today: one for `127.0.0.1`, or for `hosts`, and one for a client. */
export function makeCertificates(hosts: readonly string[] = ["127.0.0.1"]): Certificates {
  const authority = makeCertificate({ name: "authority", isAuthority: true });
  const other = makeCertificate({ name: "other authority", isAuthority: true });
  return {
    authority,
    server: makeCertificate({ name: "server", hosts, issuer: authority }),
    client: makeCertificate({ name: "client1", issuer: authority }),
    stranger: makeCertificate({ name: "client1", issuer: other }),
  };
}

/** Servers with a port for TLS, who ask a client for its certificate: a client with one is `x509:CN=…`. */
export function withTls({ authority, server }: Certificates): Variant {
  return {
    isSecure: true,
    files: { "key.pem": server.key + server.cert, "trust.pem": authority.cert },
    properties: {
      "ssl.keyStore.location": "key.pem",
      "ssl.keyStore.type": "PEM",
      "ssl.trustStore.location": "trust.pem",
      "ssl.trustStore.type": "PEM",
      "ssl.clientAuth": "want",
      "authProvider.x509": "org.apache.zookeeper.server.auth.X509AuthenticationProvider",
    },
  };
}

/** Servers that know `bob`, whose password is `builder`, by SASL. */
export function withSasl(options: { readonly isEnforced: boolean }): Variant {
  return {
    files: {
      "jaas.conf": `Server {
  org.apache.zookeeper.server.auth.DigestLoginModule required user_bob="builder";
};
`,
    },
    javaArguments: ["-Djava.security.auth.login.config=jaas.conf"],
    properties: {
      "authProvider.sasl": "org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
      ...(options.isEnforced ? { sessionRequireClientSASLAuth: true } : {}),
    },
  };
}

/** Servers that take TTL nodes, and reap empty containers and dead TTL nodes within a second or two. */
export const withExtendedTypes: Variant = {
  javaArguments: ["-Dzookeeper.extendedTypesEnabled=true", "-Dznode.container.checkIntervalMs=500"],
};

/** Servers whose number may be changed while they run, by a super user: `super` with the password `secret`. */
export const withReconfig: Variant = {
  properties: { reconfigEnabled: true },
  javaArguments: [
    // base64(sha1("super:secret"))
    "-Dzookeeper.DigestAuthenticationProvider.superDigest=super:lK75jTNcA+U9vtVEw5vB51mj/w4=",
  ],
};
