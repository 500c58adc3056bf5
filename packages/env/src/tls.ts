/**
 * A certificate, a key or a store of them: PEM as text, or the bytes of PEM, DER or PKCS12, or a file that
 * holds one of these. Files are read whenever they are needed, so what is in them may be renewed.
 */
export type TlsMaterial =
  | string
  | Uint8Array
  | { readonly file: string; readonly passphrase?: string };

/** One material, or several. */
export type TlsMaterials = TlsMaterial | readonly TlsMaterial[];

/** A version of TLS. */
export type TlsVersion = "TLSv1.2" | "TLSv1.3";

/** TLS on an endpoint. Names are those of Node's `tls`; what is left out is as there. */
export interface Tls {
  /** Who is trusted to sign the other side's certificate. Default, when connecting: those that Node trusts. */
  readonly ca?: TlsMaterials;
  /** The own certificate, with those between it and its root. */
  readonly cert?: TlsMaterials;
  /** The certificate's key. */
  readonly key?: TlsMaterial;
  /** Certificate and key in one: PKCS12, or PEM with both. */
  readonly pfx?: TlsMaterial;
  /** For `key` and `pfx`, where they are encrypted. */
  readonly passphrase?: string;
  /** The oldest version to speak. Default TLSv1.2. */
  readonly minVersion?: TlsVersion;
  /** The newest version to speak. Default TLSv1.3. */
  readonly maxVersion?: TlsVersion;
  /** Cipher suites, as OpenSSL names them, separated by colons. */
  readonly ciphers?: string;
  /** When listening: whether clients are asked for a certificate. Default false. */
  readonly requestCert?: boolean;
  /**
   * Whether somebody without a certificate that is trusted is refused: brokers when connecting, clients when
   * listening with `requestCert`. Default true.
   */
  readonly rejectUnauthorized?: boolean;
  /** When connecting: the name to ask for, and which the certificate must have. Default the host. */
  readonly servername?: string;
  /** When connecting: judges the name in the broker's certificate; gives what is wrong with it. */
  checkServerIdentity?(hostname: string, certificate: unknown): Error | undefined;
}
