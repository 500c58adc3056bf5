import type { Digests } from "@everhold/env";
import { type Acl, digestId, type Identity } from "@everhold/zookeeper-core";
import { Refusal } from "./refusal.ts";

/** Whose request it is: what the connection has proved. */
export type Identities = readonly Identity[];

/** The schemes that a server knows as it comes; `world` and `auth` are none of them. */
const schemes: readonly string[] = ["ip", "digest"];

/** Refuses unless one of the identities may do what `permission` says. @throws Refusal NOAUTH */
export function checkAccess(acl: readonly Acl[], permission: number, who: Identities): void {
  if (!mayAccess(acl, permission, who)) throw new Refusal("NOAUTH");
}

/** Whether one of the identities may do one of the things that `permission` adds up. An empty list allows all. */
export function mayAccess(acl: readonly Acl[], permission: number, who: Identities): boolean {
  if (acl.length === 0) return true;
  return acl.some((entry) => {
    if ((entry.permissions & permission) === 0) return false;
    if (entry.scheme === "world" && entry.id === "anyone") return true;
    return who.some(({ scheme, id }) => scheme === entry.scheme && matches(scheme, id, entry.id));
  });
}

/**
 * The access list as it is stored: every entry once, and `auth` replaced by who asks.
 * Source: ZooKeeper, `PrepRequestProcessor.fixupACL`. @throws Refusal INVALIDACL
 */
export function storedAcl(asked: readonly Acl[], who: Identities): readonly Acl[] {
  const entries = asked.filter((one, at) => asked.findIndex((other) => isSame(one, other)) === at);
  if (entries.length === 0) throw new Refusal("INVALIDACL");
  return entries.flatMap((entry) => {
    const { permissions, scheme, id } = entry;
    if (scheme === "world" && id === "anyone") return [entry];
    if (scheme === "auth") {
      const proved = who.filter((identity) => identity.scheme === "digest");
      if (proved.length === 0) throw new Refusal("INVALIDACL");
      return proved.map((identity) => ({ permissions, ...identity }));
    }
    if (!isValid(scheme, id)) throw new Refusal("INVALIDACL");
    return [entry];
  });
}

/** The access list as it is shown to who may read the node but not administer it: without hashes of passwords. */
export function maskedAcl(acl: readonly Acl[]): readonly Acl[] {
  return acl.map((entry) =>
    entry.scheme === "digest" ? { ...entry, id: entry.id.replaceAll(/:.*/g, ":x") } : entry,
  );
}

/**
 * Who somebody is that logs in; `undefined` for a scheme that the server does not know. A login by `digest` without a
 * colon counts as one with an empty password.
 */
export function loginIdentity(
  digests: Digests | undefined,
  { scheme, auth, host }: { scheme: string; auth: Uint8Array | null; host: string },
): Identity | undefined {
  if (scheme === "ip") return { scheme, id: host };
  if (scheme !== "digest" || digests === undefined) return undefined;
  const [user = "", ...password] = new TextDecoder().decode(auth ?? undefined).split(":");
  return { scheme, id: digestId(digests, { user, password: password.join(":") }) };
}

/** As `whoAmI` shows an identity: of a login by `digest` the name only. */
export function shownIdentity({ scheme, id }: Identity): Identity {
  return { scheme, id: scheme === "digest" ? (id.split(":")[0] ?? "") : id };
}

function isSame(one: Acl, other: Acl): boolean {
  return (
    one.permissions === other.permissions && one.scheme === other.scheme && one.id === other.id
  );
}

function isValid(scheme: string, id: string): boolean {
  if (!schemes.includes(scheme)) return false;
  if (scheme === "digest") return javaSplit(id).length === 2;
  const [address = "", bits] = id.split("/");
  const numbers = addressBits(address);
  if (numbers === undefined) return false;
  return bits === undefined || (/^\d+$/.test(bits) && Number(bits) <= 32);
}

/** Java leaves out empty parts at the end. */
function javaSplit(id: string): string[] {
  const parts = id.split(":");
  while (parts.at(-1) === "") parts.pop();
  return parts;
}

function matches(scheme: string, id: string, expression: string): boolean {
  if (scheme !== "ip") return id === expression;
  const [address = "", bits = "32"] = expression.split("/");
  const one = addressBits(id);
  const other = addressBits(address);
  if (one === undefined || other === undefined) return false;
  const shift = 32 - Number(bits);
  return shift >= 32 || one >>> shift === other >>> shift;
}

/** The 32 bits of an IPv4 address. */
function addressBits(address: string): number | undefined {
  const parts = address.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return parts.reduce((bits, part) => ((bits << 8) | Number(part)) >>> 0, 0);
}
