import { createDecipheriv, createHash, createHmac, pbkdf2Sync, timingSafeEqual } from "node:crypto";

import {
  childrenOf,
  contentOf,
  derTags,
  integerOf,
  oidOf,
  readDer,
  type DerElement,
} from "./der-reader.ts";

/**
 * The certificates of a PKCS12 store (RFC 7292), as DER. Node itself reads stores that hold a key; the trust
 * stores of Java hold none.
 *
 * @throws RangeError when it is damaged, its password is wrong, or it is encrypted in a way that is not known
 */
export function readPkcs12Certificates(
  bytes: Uint8Array,
  passphrase: string,
): readonly Uint8Array[] {
  const [version, authSafe, macData] = childrenOf(readDer(bytes));
  if (integerOf(version) !== 3) throw new RangeError("it is no PKCS12 store of version 3");
  const safe = octetsOf(authSafe);
  // Whoever gives a password wants to know that nobody else has put certificates in.
  if (macData === undefined && passphrase !== "") {
    throw new RangeError("it is not sealed with a password, though one is given; leave it out");
  }
  if (macData !== undefined) checkMac(macData, safe, passphrase);
  return childrenOf(readDer(safe)).flatMap((one) => certificatesOf(one, passphrase));
}

const oids = {
  data: "1.2.840.113549.1.7.1",
  encryptedData: "1.2.840.113549.1.7.6",
  certificateBag: "1.2.840.113549.1.12.10.1.3",
  x509Certificate: "1.2.840.113549.1.9.22.1",
  pbes2: "1.2.840.113549.1.5.13",
  pbkdf2: "1.2.840.113549.1.5.12",
  sha1With3Des: "1.2.840.113549.1.12.1.3",
} as const;

const hashesByOid: Readonly<Record<string, string>> = {
  "1.3.14.3.2.26": "sha1",
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
  // The same as HMACs, where PBKDF2 names them.
  "1.2.840.113549.2.7": "sha1",
  "1.2.840.113549.2.9": "sha256",
  "1.2.840.113549.2.10": "sha384",
  "1.2.840.113549.2.11": "sha512",
};

const ciphersByOid: Readonly<Record<string, { readonly name: string; readonly keyBytes: number }>> =
  {
    "2.16.840.1.101.3.4.1.2": { name: "aes-128-cbc", keyBytes: 16 },
    "2.16.840.1.101.3.4.1.22": { name: "aes-192-cbc", keyBytes: 24 },
    "2.16.840.1.101.3.4.1.42": { name: "aes-256-cbc", keyBytes: 32 },
    "1.2.840.113549.3.7": { name: "des-ede3-cbc", keyBytes: 24 },
  };

/** Rounds that a store may ask for; Java's have 10,000. */
const roundsMax = 5_000_000;

/** ContentInfo with the type `data`: the octets. */
function octetsOf(contentInfo: DerElement | undefined): Uint8Array {
  const [type, content] = childrenOf(contentInfo);
  if (oidOf(type) !== oids.data) throw new RangeError("it is signed with a key, not a password");
  return contentOf(readDer(contentOf(content, derTags.context0)), derTags.octets);
}

function certificatesOf(contentInfo: DerElement, passphrase: string): readonly Uint8Array[] {
  const [type, content] = childrenOf(contentInfo);
  switch (oidOf(type)) {
    case oids.data:
      return certificatesOfBags(octetsOf(contentInfo));
    case oids.encryptedData: {
      const [, encrypted] = childrenOf(readDer(contentOf(content, derTags.context0)));
      const [, algorithm, octets] = childrenOf(encrypted);
      const secret = contentOf(octets, derTags.context0Primitive);
      return certificatesOfBags(decrypt(algorithm, secret, passphrase));
    }
    default:
      return [];
  }
}

/** Keys and what else there is are passed over. */
function certificatesOfBags(safeContents: Uint8Array): readonly Uint8Array[] {
  return childrenOf(readDer(safeContents)).flatMap((bag) => {
    const [type, value] = childrenOf(bag);
    if (oidOf(type) !== oids.certificateBag) return [];
    const [kind, certificate] = childrenOf(readDer(contentOf(value, derTags.context0)));
    if (oidOf(kind) !== oids.x509Certificate) return [];
    return [contentOf(readDer(contentOf(certificate, derTags.context0)), derTags.octets)];
  });
}

function decrypt(
  algorithm: DerElement | undefined,
  secret: Uint8Array,
  passphrase: string,
): Uint8Array {
  const [scheme, parameters] = childrenOf(algorithm);
  switch (oidOf(scheme)) {
    case oids.pbes2: {
      const [derivation, encryption] = childrenOf(parameters);
      const [cipherOid, iv] = childrenOf(encryption);
      const cipher = ciphersByOid[oidOf(cipherOid)];
      if (cipher === undefined) throw unknownEncryption();
      const key = pbkdf2Key(derivation, passphrase, cipher.keyBytes);
      return decipher({ name: cipher.name, key, iv: contentOf(iv, derTags.octets) }, secret);
    }
    case oids.sha1With3Des: {
      const [salt, rounds] = childrenOf(parameters);
      const source = {
        hash: "sha1",
        passphrase,
        salt: contentOf(salt, derTags.octets),
        rounds: roundsOf(rounds),
      };
      const key = derivePkcs12({ ...source, purpose: 1, byteCount: 24 });
      const iv = derivePkcs12({ ...source, purpose: 2, byteCount: 8 });
      return decipher({ name: "des-ede3-cbc", key, iv }, secret);
    }
    default:
      throw unknownEncryption();
  }
}

function pbkdf2Key(
  derivation: DerElement | undefined,
  passphrase: string,
  keyBytes: number,
): Uint8Array {
  const [scheme, parameters] = childrenOf(derivation);
  if (oidOf(scheme) !== oids.pbkdf2) throw unknownEncryption();
  const [salt, rounds, ...rest] = childrenOf(parameters);
  const prf = rest.find((one) => one.tag === derTags.sequence);
  const hash = prf === undefined ? "sha1" : hashesByOid[oidOf(childrenOf(prf)[0])];
  if (hash === undefined) throw unknownEncryption();
  return pbkdf2Sync(passphrase, contentOf(salt, derTags.octets), roundsOf(rounds), keyBytes, hash);
}

interface CipherKey {
  readonly name: string;
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
}

function decipher({ name, key, iv }: CipherKey, secret: Uint8Array): Uint8Array {
  try {
    const machine = createDecipheriv(name, key, iv);
    return Buffer.concat([machine.update(secret), machine.final()]);
  } catch (cause) {
    throw new RangeError(wrongPassphrase, { cause });
  }
}

function checkMac(macData: DerElement, safe: Uint8Array, passphrase: string): void {
  const [digestInfo, salt, rounds] = childrenOf(macData);
  const [algorithm, digest] = childrenOf(digestInfo);
  const hash = hashesByOid[oidOf(childrenOf(algorithm)[0])];
  if (hash === undefined) throw unknownEncryption();
  const expected = contentOf(digest, derTags.octets);
  const key = derivePkcs12({
    hash,
    passphrase,
    salt: contentOf(salt, derTags.octets),
    rounds: rounds === undefined ? 1 : roundsOf(rounds),
    purpose: 3,
    byteCount: expected.length,
  });
  const found = createHmac(hash, key).update(safe).digest();
  if (found.length !== expected.length || !timingSafeEqual(found, expected)) {
    throw new RangeError(wrongPassphrase);
  }
}

interface Pkcs12Derivation {
  readonly hash: string;
  readonly passphrase: string;
  readonly salt: Uint8Array;
  readonly rounds: number;
  /** 1 a key, 2 an initialisation vector, 3 a MAC's key. */
  readonly purpose: 1 | 2 | 3;
  readonly byteCount: number;
}

/** The derivation of RFC 7292, appendix B.2. */
function derivePkcs12(derivation: Pkcs12Derivation): Uint8Array {
  const { hash, salt, rounds, byteCount } = derivation;
  const blockBytes = hash === "sha384" || hash === "sha512" ? 128 : 64;
  // Big-endian UTF-16 with a zero at the end.
  const secret = Buffer.from(`${derivation.passphrase}\0`, "utf16le").swap16();
  const diversifier = new Uint8Array(blockBytes).fill(derivation.purpose);
  const input = Buffer.concat([filled(salt, blockBytes), filled(secret, blockBytes)]);
  const output: Uint8Array[] = [];
  for (let length = 0; length < byteCount;) {
    let block = createHash(hash).update(diversifier).update(input).digest();
    for (let round = 1; round < rounds; round += 1) block = createHash(hash).update(block).digest();
    output.push(block);
    length += block.length;
    addToEach(input, filled(block, blockBytes).subarray(0, blockBytes));
  }
  return Buffer.concat(output).subarray(0, byteCount);
}

/** `bytes` again and again, up to a whole number of blocks. */
function filled(bytes: Uint8Array, blockBytes: number): Uint8Array {
  const length = blockBytes * Math.ceil(bytes.length / blockBytes);
  return Uint8Array.from({ length }, (_, index) => bytes[index % bytes.length] ?? 0);
}

/** Adds `addend` + 1 to every block of `target`, each a big-endian number. */
function addToEach(target: Uint8Array, addend: Uint8Array): void {
  for (let start = 0; start < target.length; start += addend.length) {
    let carry = 1;
    for (let index = addend.length - 1; index >= 0; index -= 1) {
      const sum = (target[start + index] ?? 0) + (addend[index] ?? 0) + carry;
      target[start + index] = sum & 0xff;
      carry = sum >>> 8;
    }
  }
}

function roundsOf(element: DerElement | undefined): number {
  const rounds = integerOf(element);
  if (rounds < 1 || rounds > roundsMax) throw unknownEncryption();
  return rounds;
}

const wrongPassphrase = "its password is wrong, or it is damaged";

function unknownEncryption(): RangeError {
  return new RangeError(
    "it is encrypted in a way that is not known here; make it anew with keytool, or convert it to PEM",
  );
}
