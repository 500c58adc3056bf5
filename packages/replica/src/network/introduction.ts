import { EverholdError } from "@everhold/base";
import type { Macs, Random } from "@everhold/env";
import {
  type Conversation,
  type Greeting,
  greetingVersion,
  isSameProof,
  newNonce,
  proofOf,
  readGreeting,
  type RefusalReason,
  refusalOf,
} from "./greeting.ts";
import { limits } from "./limits.ts";

/** Who a member is, and what proves it. */
export interface Self {
  readonly groupId: string;
  readonly id: string;
  readonly secret: Uint8Array;
}

/** What the two sides of a connection need to find out who the other one is. */
export interface IntroductionPorts {
  readonly macs: Macs;
  readonly random: Random;
}

/** What follows from a greeting. */
export type Answer =
  | { readonly kind: "answer"; readonly greeting: Greeting }
  /** The other side is this member. */
  | { readonly kind: "known"; readonly id: string; readonly greeting: Greeting | undefined }
  /** The other side is not who it should be: it is told the reason, and the log what was found. */
  | {
      readonly kind: "refuse";
      readonly reason: RefusalReason;
      readonly found: string;
      readonly expected: string;
    }
  /** The other side has refused. */
  | { readonly kind: "refused"; readonly reason: RefusalReason | undefined };

/**
 * How two members find out that both know the group's secret:
 *
 *     caller                                     called
 *       │ ── call (group, both names, number) ──▶ │
 *       │ ◀── challenge (number) ──────────────── │
 *       │ ── proof over all of it, as caller ───▶ │ checked
 *       │ ◀── welcome: proof, as called ───────── │
 *     checked
 *
 * Whoever is called proves itself only to one who did: a stranger that calls gets nothing to try passwords on.
 */
export interface Introduction {
  /** What comes next. @throws ProtocolError EVH_PROTOCOL, EVH_FRAME_TOO_LARGE for bytes that are no greeting */
  onGreeting(bytes: Uint8Array): Answer;
}

/** The side that calls. */
export class CallerIntroduction implements Introduction {
  /** What is said first. */
  readonly call: Greeting<"call">;
  readonly #ports: IntroductionPorts;
  readonly #self: Self;
  #conversation: Conversation | undefined;

  constructor(ports: IntroductionPorts, self: Self, called: string) {
    this.#ports = ports;
    this.#self = self;
    const nonce = newNonce(ports.random);
    this.call = { kind: "call", groupId: self.groupId, caller: self.id, called, nonce };
  }

  onGreeting(bytes: Uint8Array): Answer {
    const greeting = readGreeting(bytes);
    if (typeof greeting === "number") return outOfTurn("call", "challenge");
    if (greeting.kind === "refusal") {
      return { kind: "refused", reason: refusalOf(greeting.reason) };
    }
    const { macs } = this.#ports;
    const { secret } = this.#self;
    if (this.#conversation === undefined) {
      if (greeting.kind !== "challenge") return outOfTurn(greeting.kind, "challenge");
      // A copy: the bytes are the link's.
      const about = conversationOf(this.call, greeting.nonce.slice());
      this.#conversation = about;
      const proof = proofOf(macs, secret, "caller", about);
      return { kind: "answer", greeting: { kind: "proof", proof } };
    }
    if (greeting.kind !== "welcome") return outOfTurn(greeting.kind, "welcome");
    const expected = proofOf(macs, secret, "called", this.#conversation);
    if (!isSameProof(greeting.proof, expected)) return wrongProof;
    return { kind: "known", id: this.call.called, greeting: undefined };
  }
}

/** The side that is called. */
export class CalledIntroduction implements Introduction {
  readonly #ports: IntroductionPorts;
  readonly #self: Self;
  #conversation: Conversation | undefined;

  constructor(ports: IntroductionPorts, self: Self) {
    this.#ports = ports;
    this.#self = self;
  }

  onGreeting(bytes: Uint8Array): Answer {
    const greeting = readGreeting(bytes);
    if (typeof greeting === "number") {
      const expected = `version ${greetingVersion}`;
      return { kind: "refuse", reason: "version", found: `version ${greeting}`, expected };
    }
    if (greeting.kind === "refusal") {
      return { kind: "refused", reason: refusalOf(greeting.reason) };
    }
    if (this.#conversation === undefined) return this.#onCall(greeting);
    if (greeting.kind !== "proof") return outOfTurn(greeting.kind, "proof");
    const about = this.#conversation;
    const { macs } = this.#ports;
    const { secret } = this.#self;
    if (!isSameProof(greeting.proof, proofOf(macs, secret, "caller", about))) return wrongProof;
    const proof = proofOf(macs, secret, "called", about);
    return { kind: "known", id: about.caller, greeting: { kind: "welcome", proof } };
  }

  #onCall(call: Greeting): Answer {
    if (call.kind !== "call") return outOfTurn(call.kind, "call");
    const { groupId, id } = this.#self;
    if (call.groupId !== groupId) return refuse("group", call.groupId, groupId);
    if (call.called !== id) return refuse("name", `a call for ${call.called}`, `one for ${id}`);
    if (call.caller === id || call.caller === "") {
      return refuse("name", `a caller named ${call.caller}`, "another member's name");
    }
    const nonce = newNonce(this.#ports.random);
    this.#conversation = conversationOf({ ...call, nonce: call.nonce.slice() }, nonce);
    return { kind: "answer", greeting: { kind: "challenge", nonce } };
  }
}

function conversationOf(
  { groupId, caller, called, nonce }: Greeting<"call">,
  calledNonce: Uint8Array,
): Conversation {
  return { groupId, caller, called, callerNonce: nonce, calledNonce };
}

/** @throws EverholdError EVH_CONFIG for names and secrets that cannot be used */
export function checkSelf({ groupId, id, secret }: Self): void {
  checkLength("the group's id", "characters", groupId.length, [1, limits.nameCharactersMax]);
  checkLength("the member's name", "characters", id.length, [1, limits.nameCharactersMax]);
  const { secretBytesMin, secretBytesMax } = limits;
  checkLength("the group's secret", "bytes", secret.length, [secretBytesMin, secretBytesMax]);
}

function checkLength(
  what: string,
  unit: string,
  found: number,
  [min, max]: readonly [number, number],
): void {
  if (found >= min && found <= max) return;
  throw new EverholdError(
    "EVH_CONFIG",
    `cannot link members: found ${found} ${unit} of ${what}, expected ${min} to ${max}`,
  );
}

const wrongProof = refuse(
  "secret",
  "a proof made with another secret",
  "one made with the group's",
);

function outOfTurn(found: string, expected: string): Answer {
  return refuse("protocol", found, expected);
}

function refuse(reason: RefusalReason, found: string, expected: string): Answer {
  return { kind: "refuse", reason, found, expected };
}
