import { ProtocolError } from "@everhold/base";
import type { Macs } from "@everhold/env";
import {
  ByteReader,
  ByteWriter,
  bytes,
  readValue,
  string,
  struct,
  u32,
  u8,
  type ValueOf,
  writeValue,
} from "@everhold/wire";
import { limits } from "./limits.ts";

/** The newest version of what members say before frames, and so far the only one. */
export const greetingVersion = 1;
/** The first bytes of a call, after its length and kind: `EVHR`. */
const magic = 0x45564852;
const nonceBytes = 32;
const proofBytes = 32;
const name = string(limits.nameCharactersMax);

const bodies = {
  /** Caller, first: who I am, whom I want, and a number that I never used before. */
  call: struct({ groupId: name, caller: name, called: name, nonce: bytes(nonceBytes) }),
  /** Called: prove it with this number of mine. */
  challenge: struct({ nonce: bytes(nonceBytes) }),
  /** Caller: I know the secret. Whoever is called proves it only to one who did. */
  proof: struct({ proof: bytes(proofBytes) }),
  /** Called: so do I; from now on there are frames, both ways. */
  welcome: struct({ proof: bytes(proofBytes) }),
  /** Either: I end this, and why. */
  refusal: struct({ reason: u8 }),
} as const;

type Bodies = { readonly [Kind in keyof typeof bodies]: ValueOf<(typeof bodies)[Kind]> };

/** What two members say to each other before frames. */
export type Greeting<Kind extends keyof Bodies = keyof Bodies> = {
  readonly [K in Kind]: { readonly kind: K } & Bodies[K];
}[Kind];

/** Why a connection does not become a link: number on the wire, and what the log says of it. */
export const refusals = {
  protocol: [1, "It does not speak the protocol of members"],
  version: [2, "It speaks another version of the protocol of members"],
  group: [3, "It is of another group"],
  name: [4, "It calls another member than the one here, or by the same name"],
  secret: [5, "It does not know the group's secret"],
  late: [6, "It did not prove in time who it is"],
  crowded: [7, "Too many others are connected"],
  closing: [8, "The member here stops"],
} as const satisfies Readonly<Record<string, readonly [number, string]>>;

/** Why a connection does not become a link. */
export type RefusalReason = keyof typeof refusals;

/** The reason of a number that the other side sent. */
export function refusalOf(number: number): RefusalReason | undefined {
  for (const reason of Object.keys(refusals)) {
    if (isReason(reason) && refusals[reason][0] === number) return reason;
  }
  return undefined;
}

function isReason(text: string): text is RefusalReason {
  return Object.hasOwn(refusals, text);
}

const kindNumbers = { call: 1, challenge: 2, proof: 3, welcome: 4, refusal: 5 } as const;

/** Appends a greeting. The beginning of a call and the whole of a refusal stay as they are in every version. */
export function writeGreeting(writer: ByteWriter, greeting: Greeting): void {
  writer.u8(kindNumbers[greeting.kind]);
  switch (greeting.kind) {
    case "call":
      writer.u32(magic);
      writer.u8(greetingVersion);
      return writeValue(bodies.call, writer, greeting);
    case "challenge":
      return writeValue(bodies.challenge, writer, greeting);
    case "proof":
      return writeValue(bodies.proof, writer, greeting);
    case "welcome":
      return writeValue(bodies.welcome, writer, greeting);
    case "refusal":
      return writeValue(bodies.refusal, writer, greeting);
  }
}

/**
 * Reads the greeting that fills `input`, or the number of its version where that is another one; it shares its bytes.
 * @throws ProtocolError EVH_PROTOCOL, EVH_FRAME_TOO_LARGE
 */
export function readGreeting(input: Uint8Array): Greeting | number {
  const reader = new ByteReader(input, { strict: true });
  const kind = reader.u8();
  switch (kind) {
    case kindNumbers.call: {
      const found = reader.u32();
      if (found !== magic) throw refused(`mark ${found.toString(16)}`, magic.toString(16));
      const version = reader.u8();
      if (version !== greetingVersion) return version;
      return { kind: "call", ...readValue(bodies.call, reader, "greeting") };
    }
    case kindNumbers.challenge:
      return { kind: "challenge", ...readValue(bodies.challenge, reader, "greeting") };
    case kindNumbers.proof:
      return { kind: "proof", ...readValue(bodies.proof, reader, "greeting") };
    case kindNumbers.welcome:
      return { kind: "welcome", ...readValue(bodies.welcome, reader, "greeting") };
    case kindNumbers.refusal:
      return { kind: "refusal", ...readValue(bodies.refusal, reader, "greeting") };
    default:
      throw refused(`kind ${kind}`, "1 to 5");
  }
}

/** What both sides of one conversation know of it, once each has sent its number. */
export interface Conversation extends Omit<Greeting<"call">, "kind" | "nonce"> {
  readonly callerNonce: Uint8Array;
  readonly calledNonce: Uint8Array;
}

const conversation = struct({
  groupId: name,
  caller: name,
  called: name,
  callerNonce: bytes(nonceBytes),
  calledNonce: bytes(nonceBytes),
});

/**
 * Proves that who says it knows the secret, in this conversation and in this role: a proof is of no use in another
 * conversation, as both chose a number for it, and none to answer its own sender with.
 */
export function proofOf(
  macs: Macs,
  secret: Uint8Array,
  role: "caller" | "called",
  about: Conversation,
): Uint8Array {
  const writer = new ByteWriter();
  writeValue(u32, writer, magic);
  writeValue(u8, writer, greetingVersion);
  writeValue(u8, writer, role === "caller" ? kindNumbers.proof : kindNumbers.welcome);
  writeValue(conversation, writer, about);
  return macs.hmacSha256(secret, writer.written());
}

/** Whether two proofs are equal, in a time that does not tell where they differ. */
export function isSameProof(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== proofBytes || other.length !== proofBytes) return false;
  let difference = 0;
  for (let index = 0; index < proofBytes; index += 1) {
    difference |= (one[index] ?? 0) ^ (other[index] ?? 0);
  }
  return difference === 0;
}

/** A number that nobody can foresee and that is never used twice. */
export function newNonce(random: { fill(target: Uint8Array): void }): Uint8Array {
  const nonce = new Uint8Array(nonceBytes);
  random.fill(nonce);
  return nonce;
}

function refused(found: string, expected: string): ProtocolError {
  return new ProtocolError(
    "EVH_PROTOCOL",
    `cannot read a greeting: found ${found}, expected ${expected}`,
  );
}
