import { errorCodeFromCore, type ErrorCode } from "@everhold/base";
import {
  commitAnswers,
  decodePacket,
  noCorrelation,
  outcomes,
  packets,
  type ByteReader,
  type PacketOf,
} from "@everhold/wire";
import { readNull, type Channel } from "./channel.ts";

/** The feature of brokers that keep what became of numbered sends and commits. */
export const outcomeFeature = "outcome/1";
/** The feature of those that keep what became of branches that were committed in one phase, too. */
export const branchOutcomeFeature = "outcome/2";
/** The feature of brokers whose sessions go on for others. */
export const resumeFeature = "resume/1";
/** The feature of those that take reasons of rejections then, and remember a producer before it commits. */
export const fullResumeFeature = "resume/2";

/** A number that a producer gave, to a send or to a commit. */
export interface ProducerNumber {
  readonly producerId: Uint8Array;
  readonly epoch: number;
  readonly number: number;
}

/** What a broker knows of a number. */
export interface NumberOutcome {
  /** `notSeen`: none of this number has come so far. */
  readonly outcome: "notSeen" | "applied" | "refused" | "unknown";
  /** Why it was refused. */
  readonly code: ErrorCode;
}

/** One message that is to be settled by a session that goes on for another. */
export type ResumedSettlement = PacketOf<typeof packets.resume>["settlements"][number];

/** What a session that goes on for another asks for. */
export interface ResumeRequest {
  /** Empty for none. */
  readonly oldSession: string;
  /** Nothing follows: the old session ends. */
  readonly isLast: boolean;
  readonly commit: ProducerNumber | undefined;
  readonly settlements: readonly ResumedSettlement[];
  /** Why, for each rejection in their order; `null` for brokers that do not know of it, or where nobody said. */
  readonly reasons: readonly (string | null)[] | null;
}

/** What it is answered. */
export interface ResumeAnswer {
  /** `undefined`: not asked. */
  readonly commit: NumberOutcome | undefined;
  /** One of `resumeResults` for each settlement. */
  readonly results: Uint8Array;
}

/** Commits under a number. @throws RejectedError why it was rolled back */
export async function callCommitAs(channel: Channel, number: ProducerNumber): Promise<void> {
  const value = { correlationId: noCorrelation, ...number };
  await channel.call(packets.commitAs, value, "commit the transaction", readNull);
}

/** Asks what became of a number. @throws EverholdError */
export function callOutcome(channel: Channel, number: ProducerNumber): Promise<NumberOutcome> {
  const value = { correlationId: noCorrelation, ...number };
  return channel.call(packets.outcomeQuery, value, "ask for the outcome", readOutcome);
}

/** Goes on for another session. @throws EverholdError */
export function callResume(channel: Channel, request: ResumeRequest): Promise<ResumeAnswer> {
  const { commit, ...rest } = request;
  const value = {
    ...rest,
    correlationId: noCorrelation,
    hasCommit: commit !== undefined,
    commit: commit ?? null,
  };
  return channel.call(packets.resume, value, "resume the session", readResumed);
}

function readOutcome(id: number, reader: ByteReader, version: number): NumberOutcome | undefined {
  if (id !== packets.outcome.id) return undefined;
  const { outcome, code } = decodePacket(packets.outcome, reader, version);
  return { outcome: outcomeNames.get(outcome) ?? "unknown", code: errorCodeFromCore(code) };
}

function readResumed(id: number, reader: ByteReader, version: number): ResumeAnswer | undefined {
  if (id !== packets.resumed.id) return undefined;
  const { commit, code, settlements } = decodePacket(packets.resumed, reader, version);
  const isAsked = commit !== commitAnswers.notAsked;
  const outcome = answerNames.get(commit) ?? "unknown";
  return {
    commit: isAsked ? { outcome, code: errorCodeFromCore(code) } : undefined,
    // What was read is a view of the link's bytes.
    results: settlements.slice(),
  };
}

const outcomeNames: ReadonlyMap<number, NumberOutcome["outcome"]> = new Map([
  [outcomes.notSeen, "notSeen"],
  [outcomes.applied, "applied"],
  [outcomes.refused, "refused"],
]);

const answerNames: ReadonlyMap<number, NumberOutcome["outcome"]> = new Map([
  [commitAnswers.applied, "applied"],
  [commitAnswers.refused, "refused"],
]);
