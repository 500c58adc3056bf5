import { readFileSync } from "node:fs";
import type { SecureContextOptions } from "node:tls";

import { EverholdError } from "@everhold/base";
import type { Tls, TlsMaterial, TlsMaterials } from "@everhold/env";

import { reasonOf } from "../system-error.ts";
import { readPkcs12Certificates } from "./pkcs12-certificates.ts";

/**
 * What Node wants to know, with files read and stores opened.
 *
 * @throws EverholdError EVH_CONFIG naming the file, what was found and what to do
 */
export function secureContextOptions(tls: Tls): SecureContextOptions {
  const { passphrase } = tls;
  const store = tls.pfx === undefined ? {} : keyStoreOf(tls.pfx, passphrase);
  return {
    ...store,
    ...(tls.ca === undefined ? {} : { ca: listOf(tls.ca).flatMap(trustedOf) }),
    ...(tls.cert === undefined ? {} : { cert: listOf(tls.cert).map((one) => pemOf("cert", one)) }),
    ...(tls.key === undefined ? {} : { key: pemOf("key", tls.key) }),
    ...(passphrase === undefined || "passphrase" in store ? {} : { passphrase }),
    ...(tls.minVersion === undefined ? {} : { minVersion: tls.minVersion }),
    ...(tls.maxVersion === undefined ? {} : { maxVersion: tls.maxVersion }),
    ...(tls.ciphers === undefined ? {} : { ciphers: tls.ciphers }),
  };
}

/** The files that are read for it. */
export function filesOf(tls: Tls): readonly string[] {
  const materials = [tls.ca, tls.cert, tls.key, tls.pfx].flatMap((one) =>
    one === undefined ? [] : listOf(one),
  );
  return [...new Set(materials.flatMap((one) => (isFile(one) ? [one.file] : [])))];
}

/** Certificates to trust, as PEM or DER. */
function trustedOf(material: TlsMaterial): readonly (string | Buffer)[] {
  const { bytes, name, passphrase } = read("ca", material);
  switch (formOf(bytes)) {
    case "jks":
      throw jksError(name);
    case "pem":
      return [bytes];
    case "der":
      // A certificate begins with a sequence in a sequence, a store with its version.
      if (bytes[derHeadBytes(bytes)] !== 0x02) return [toPem(bytes)];
      try {
        return readPkcs12Certificates(bytes, passphrase ?? "").map(toPem);
      } catch (cause) {
        throw materialError(name, reasonOf(cause), cause);
      }
    default:
      throw materialError(name, "it holds neither PEM nor PKCS12");
  }
}

function keyStoreOf(
  material: TlsMaterial,
  outerPassphrase: string | undefined,
): SecureContextOptions {
  const { bytes, name, passphrase = outerPassphrase } = read("pfx", material);
  const secret = passphrase === undefined ? {} : { passphrase };
  switch (formOf(bytes)) {
    case "jks":
      throw jksError(name);
    case "pem":
      return { cert: bytes, key: bytes, ...secret };
    case "der":
      return { pfx: bytes, ...secret };
    default:
      throw materialError(name, "it holds neither PEM nor PKCS12");
  }
}

function pemOf(option: string, material: TlsMaterial): Buffer {
  const { bytes, name } = read(option, material);
  const form = formOf(bytes);
  if (form === "jks") throw jksError(name);
  if (form !== "pem") throw materialError(name, "expected PEM (-----BEGIN …); give PKCS12 as pfx");
  return bytes;
}

interface Read {
  readonly bytes: Buffer;
  /** What messages call it. */
  readonly name: string;
  readonly passphrase: string | undefined;
}

function read(option: string, material: TlsMaterial): Read {
  const name = `the TLS option ${option}`;
  if (typeof material === "string" || material instanceof Uint8Array) {
    return { bytes: Buffer.from(material), name, passphrase: undefined };
  }
  const { file, passphrase } = material;
  try {
    return { bytes: readFileSync(file), name: file, passphrase };
  } catch (cause) {
    throw materialError(file, reasonOf(cause), cause);
  }
}

function formOf(bytes: Buffer): "pem" | "der" | "jks" | undefined {
  if (bytes.includes("-----BEGIN ")) return "pem";
  const magic = bytes.length < 4 ? 0 : bytes.readUInt32BE(0);
  // The magic numbers of JKS and JCEKS.
  if (magic === 0xfeedfeed || magic === 0xcececece) return "jks";
  return bytes[0] === 0x30 ? "der" : undefined;
}

function derHeadBytes(bytes: Buffer): number {
  const length = bytes[1] ?? 0;
  return length < 0x80 ? 2 : 2 + (length & 0x7f);
}

function toPem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

function isFile(material: TlsMaterial): material is { file: string; passphrase?: string } {
  return typeof material !== "string" && !(material instanceof Uint8Array);
}

function listOf(materials: TlsMaterials): readonly TlsMaterial[] {
  return isList(materials) ? materials : [materials];
}

function isList(materials: TlsMaterials): materials is readonly TlsMaterial[] {
  return Array.isArray(materials);
}

function jksError(name: string): EverholdError {
  return materialError(
    name,
    `it is a Java key store (JKS), which only Java reads; convert it: keytool -importkeystore ` +
      `-srckeystore ${name} -destkeystore store.p12 -deststoretype PKCS12`,
  );
}

function materialError(name: string, problem: string, cause?: unknown): EverholdError {
  return new EverholdError("EVH_CONFIG", `cannot use ${name} for TLS: ${problem}`, { cause });
}
