import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";

/** A password that nobody can read: what scrypt made of it, and with which parameters. */
export interface PasswordHash {
  /** scrypt's N: how often, and how much memory (128 · N · r bytes). A power of two. */
  readonly cost: number;
  /** scrypt's r. */
  readonly blockSize: number;
  /** scrypt's p. */
  readonly parallelization: number;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

/**
 * What new hashes are made with: 16 MiB and about 150 ms of one core. One of the equally strong choices of
 * OWASP's Password Storage Cheat Sheet; the one with 128 MiB would let logins fill the broker's memory.
 */
const newCost = { cost: 2 ** 14, blockSize: 8, parallelization: 5 };
const saltBytes = 16;
const hashBytes = 32;

/** What a hash may ask for, so that a file cannot make the broker compute for minutes, or trust a weak one. */
const bounds = {
  log2CostMin: 10,
  memoryBytesMax: 256 * 1024 * 1024,
  parallelizationMax: 16,
  saltBytesMin: 8,
  hashBytesMin: 16,
  bytesMax: 64,
} as const;

/** How a hash is written, for messages to people. */
export const passwordHashForm = "$scrypt$ln=14,r=8,p=5$SALT$HASH";

/** Hashes a password with a fresh salt, off the event loop. */
export async function hashPassword(password: string): Promise<PasswordHash> {
  const salt = randomBytes(saltBytes);
  const hash = await derive(password, { ...newCost, salt, hashBytes });
  return { ...newCost, salt, hash };
}

/** Whether `password` is the one that `known` was made of; off the event loop, in constant time. */
export async function isPassword(password: string, known: PasswordHash): Promise<boolean> {
  const hash = await derive(password, { ...known, hashBytes: known.hash.length });
  return timingSafeEqual(hash, known.hash);
}

/** A hash as text, in the PHC string format: `$scrypt$ln=14,r=8,p=5$SALT$HASH`. */
export function formatPasswordHash(one: PasswordHash): string {
  const { cost, blockSize, parallelization, salt, hash } = one;
  const parameters = `ln=${Math.log2(cost)},r=${blockSize},p=${parallelization}`;
  return `$scrypt$${parameters}$${base64(salt)}$${base64(hash)}`;
}

/** Reads what {@link formatPasswordHash} writes; `undefined` when it is none, or not within bounds. */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  const match =
    /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(
      text,
    );
  if (match === null) return undefined;
  const [log2Cost = 0, blockSize = 0, parallelization = 0] = match.slice(1, 4).map(Number);
  const salt = Buffer.from(match[4] ?? "", "base64");
  const hash = Buffer.from(match[5] ?? "", "base64");
  const isWithinBounds =
    log2Cost >= bounds.log2CostMin &&
    blockSize >= 1 &&
    128 * 2 ** log2Cost * blockSize <= bounds.memoryBytesMax &&
    parallelization >= 1 &&
    parallelization <= bounds.parallelizationMax &&
    salt.length >= bounds.saltBytesMin &&
    hash.length >= bounds.hashBytesMin &&
    Math.max(salt.length, hash.length) <= bounds.bytesMax;
  return isWithinBounds
    ? { cost: 2 ** log2Cost, blockSize, parallelization, salt, hash }
    : undefined;
}

interface Derivation {
  readonly cost: number;
  readonly blockSize: number;
  readonly parallelization: number;
  readonly salt: Uint8Array;
  readonly hashBytes: number;
}

function derive(password: string, derivation: Derivation): Promise<Buffer> {
  const { cost, blockSize, parallelization, salt } = derivation;
  const maxmem = 2 * 128 * cost * blockSize + 1024 * 1024;
  return new Promise((resolve, reject) => {
    // Equal passwords may be typed in different ways; NFC makes them equal bytes.
    const secret = password.normalize("NFC");
    const options = { cost, blockSize, parallelization, maxmem };
    scrypt(secret, salt, derivation.hashBytes, options, (error, hash) => {
      if (error === null) resolve(hash);
      else reject(error);
    });
  });
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replace(/=+$/, "");
}
