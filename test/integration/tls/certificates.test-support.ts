import { generateKeyPairSync, randomBytes, sign, type KeyObject } from "node:crypto";
import { isIPv4 } from "node:net";

/** What a certificate is made with. */
export interface CertificateChoices {
  /** Its subject's common name. */
  readonly name: string;
  /** Host names and IPv4 addresses that it is for. Default none. */
  readonly hosts?: readonly string[];
  /** Who signs it. Default itself. */
  readonly issuer?: Certificate;
  /** Whether it may sign others. Default false. */
  readonly isAuthority?: boolean;
  /** From when and until when it is valid, in days from now. Default yesterday until tomorrow. */
  readonly days?: readonly [number, number];
}

/** A certificate and its key, both PEM. */
export interface Certificate {
  readonly name: string;
  readonly cert: string;
  readonly key: string;
  readonly privateKey: KeyObject;
}

/** Makes a certificate (RFC 5280) that is valid only while tests run: none that could expire is kept. */
export function makeCertificate(choices: CertificateChoices): Certificate {
  const { name, hosts = [], issuer, isAuthority = false, days = [-1, 1] } = choices;
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = sequence(oid("2a8648ce3d040302"));
  const serial = randomBytes(8);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const extensions = [
    // basicConstraints, critical
    sequence(
      oid("551d13"),
      der(0x01, [0xff]),
      octets(sequence(...(isAuthority ? [der(0x01, [0xff])] : []))),
    ),
    ...(hosts.length === 0
      ? []
      : [sequence(oid("551d11"), octets(sequence(...hosts.map(generalName))))]),
  ];
  const body = sequence(
    der(0xa0, der(0x02, [2])),
    der(0x02, serial),
    algorithm,
    distinguishedName(issuer?.name ?? name),
    sequence(time(days[0]), time(days[1])),
    distinguishedName(name),
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(...extensions)),
  );
  const signature = sign("sha256", body, issuer?.privateKey ?? privateKey);
  const bytes = sequence(body, algorithm, der(0x03, [0, ...signature]));
  const lines = bytes
    .toString("base64")
    .match(/.{1,64}/g)
    ?.join("\n");
  return {
    name,
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    privateKey,
  };
}

function der(tag: number, content: Uint8Array | readonly number[]): Buffer {
  const { length } = content;
  const lengthBytes = length < 0x80 ? [] : length < 0x100 ? [0x81] : [0x82, length >> 8];
  const head = [tag, ...lengthBytes, length & 0xff];
  return Buffer.concat([Buffer.from(head), Buffer.from(content)]);
}

function sequence(...elements: readonly Uint8Array[]): Buffer {
  return der(0x30, Buffer.concat(elements));
}

function octets(content: Uint8Array): Buffer {
  return der(0x04, content);
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, "hex"));
}

function distinguishedName(commonName: string): Buffer {
  return sequence(der(0x31, sequence(oid("550403"), der(0x0c, Buffer.from(commonName)))));
}

function generalName(host: string): Buffer {
  return isIPv4(host)
    ? der(0x87, host.split(".").map(Number))
    : der(0x82, Buffer.from(host, "ascii"));
}

function time(days: number): Buffer {
  const text = new Date(Date.now() + days * 86_400_000)
    .toISOString()
    .replaceAll(/[-:T]|\.\d+/g, "");
  return der(0x17, Buffer.from(text.slice(2), "ascii"));
}
