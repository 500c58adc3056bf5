import type { Hash } from "@everhold/env";
import {
  decodeGroupState,
  encodeGroupState,
  type GroupState,
  type MemberAddress,
} from "@everhold/group";
import { decodeMemberAddress, encodeMemberAddress } from "../member-address.ts";
import { type FileContent, formatError, isObject, seal, unseal } from "./sealed.ts";

/** All that members of a group share. Changed as a whole. */
export interface GroupDocument {
  /** Counts the changes of `state`, from 0. */
  readonly version: number;
  /** The truth about who may lead; null: nobody has made the group, though members may be there. */
  readonly state: GroupState | null;
  /** Whose process leads; null: nobody has led, or it has given that back. */
  readonly live: LiveClaim | null;
  readonly members: readonly RegisteredMember[];
}

/** The claim of the process that was promoted to an epoch. */
export interface LiveClaim {
  readonly claim: string;
  readonly epoch: number;
}

/** A member, and the claim of its process: it runs while somebody has that. */
export interface RegisteredMember {
  readonly claim: string;
  readonly address: MemberAddress;
}

/** What there is before anybody has written anything. */
export const emptyDocument: GroupDocument = { version: 0, state: null, live: null, members: [] };

/** The bytes of a file with the document. @throws ProtocolError EVH_NODE_FORMAT for an address that could not be read again */
export function encodeDocument(document: GroupDocument, hash: Hash): Uint8Array {
  const { version, state, live } = document;
  const members = document.members.map(({ claim, address }) => {
    return { claim, address: valueOf(encodeMemberAddress(address)) };
  });
  const written = state === null ? null : valueOf(encodeGroupState(state));
  return seal({ version, state: written, live, members }, hash);
}

/**
 * Reads a file with the document.
 * @throws EverholdError EVH_DATA_CORRUPT, EVH_DATA_FORMAT
 * @throws ProtocolError EVH_PROTOCOL for a state, EVH_NODE_FORMAT for an address of another format
 */
export function decodeDocument(content: FileContent, hash: Hash): GroupDocument {
  const { version, state, live, members } = unseal(content, hash);
  if (!isCounter(version)) throw unexpected(content, "version", "a number from 0");
  if (live !== null && !isLive(live)) throw unexpected(content, "live", "null, or claim and epoch");
  if (!Array.isArray(members)) throw unexpected(content, "members", "a list");
  return {
    version,
    state: state === null ? null : decodeGroupState(bytesOf(state)),
    live: live === null ? null : { claim: live.claim, epoch: live.epoch },
    members: members.map((member: unknown) => {
      if (!isObject(member)) throw unexpected(content, "members", "objects");
      const { claim, address } = member;
      if (typeof claim !== "string") throw unexpected(content, "claim", "a text");
      return { claim, address: decodeMemberAddress(bytesOf(address)) };
    }),
  };
}

function isLive(value: unknown): value is LiveClaim {
  return isObject(value) && typeof value["claim"] === "string" && isCounter(value["epoch"]);
}

function isCounter(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function unexpected({ path }: FileContent, name: string, expected: string): Error {
  return formatError(path, `something else as ${name}`, expected);
}

function valueOf(bytes: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(bytes));
}

function bytesOf(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value ?? null));
}
