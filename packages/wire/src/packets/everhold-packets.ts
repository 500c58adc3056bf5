import { correlationId, nameString, optionalText, xid } from "../core-fields.ts";
import { blob, boolean, bytes, counter, i32, i64, list, maybe, u32, u8 } from "../fields.ts";
import { limits } from "../limits.ts";
import { packet } from "../packet.ts";
import { struct, when } from "../struct.ts";

/** What SETTLE does with a delivery. */
export const settleActions = {
  /** Gives it back, counted as an attempt. */
  release: 0,
  /** Refuses it for good: it goes to the dead letters. */
  reject: 1,
  /** Gives it back uncounted, and all that was delivered to the consumer after it. */
  giveBack: 2,
} as const;

/** What a SETTLE says that leaves the delay to the settings of the address. */
export const unsaidDelay = -1;

/** What became of a numbered commit, in OUTCOME. */
export const outcomes = {
  /** No commit of this number has come so far. One that is still on its way may come. */
  notSeen: 0,
  applied: 1,
  /** It took no effect, for the reason that `code` says, and never will. */
  refused: 2,
  /** The producer, or what became of this number, is forgotten, or a newer incarnation has fenced it. */
  unknown: 3,
} as const;

/** What RESUME wants of a message that was delivered to the session that it follows. */
export const resumeKinds = {
  /** It was acknowledged, and the answer did not come. */
  acknowledge: 0,
  /** The application has it in its hands: it is to be this session's delivery, unsent. */
  hold: 1,
  /** It was rejected, and the answer did not come: it goes to the dead letters. */
  reject: 2,
  /** The application has seen it and does not hold it any more: it goes back, counted as an attempt. */
  giveBack: 3,
} as const;

/** What became of one settlement of a RESUME. */
export const resumeResults = {
  /** It was done with this RESUME. */
  applied: 0,
  /** The message was settled before, by the old session, or was deleted. */
  gone: 1,
  /** Somebody else has it, or may have it next, also from another queue: nothing was done. */
  elsewhere: 2,
  /** It is held for this session's consumer of that id. */
  held: 3,
  /** It is not there any more, and nobody knows who settled it: the old session is not known, or it was moved long ago. */
  unknown: 4,
} as const;

/** What RESUMED says of the commit in doubt; never that it was not seen. */
export const commitAnswers = {
  notAsked: 0,
  applied: 1,
  refused: 2,
  unknown: 3,
} as const;

/** A number that a producer gave: a send of it, or a commit. */
const numbered = {
  producerId: bytes(16),
  epoch: u32,
  number: counter,
} as const;

/**
 * Packets that only Everhold brokers and clients exchange, each after its feature was named on the
 * connection: `settle/1`; `outcome/1` for OUTCOME_QUERY and COMMIT_AS, `outcome/2` for COMMIT_BRANCH_AS; `resume/1`
 * for RESUME, `resume/2` for its reasons and the number 0.
 */
export const everholdPackets = {
  resume: packet(
    0xa0,
    {
      name: "EVERHOLD_RESUME",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "This session goes on for `oldSession`, of which the client does not know what became: its commit in doubt is decided for good, then its settlements are done on what it still holds (kind 0 acknowledge, 1 hold for this session's consumer of that id, 2 reject, 3 give back, counted), and with `isLast` it ends. Before this session has consumers. With the feature `resume/2` `reasons` say why, one for each rejection in their order, and a commit of the number 0 is none: the producer will number commits, and is remembered from here on",
    },
    {
      correlationId,
      oldSession: nameString,
      isLast: boolean,
      hasCommit: boolean,
      commit: when("hasCommit", true, struct(numbered)),
      settlements: list(
        struct({ consumerId: i64, queueName: nameString, messageId: i64, kind: u8 }),
        limits.resumeSettlementsMax,
      ),
      reasons: maybe(list(optionalText, limits.resumeSettlementsMax)),
    },
  ),
  resumed: packet(
    0xa1,
    {
      name: "EVERHOLD_RESUMED",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "Answers EVERHOLD_RESUME: the commit in doubt (0 not asked, 1 applied, 2 refused with `code`, 3 unknown) and one byte for each settlement (0 done now, 1 settled before or gone, 2 somebody else has it, or it was moved away, 3 held, 4 gone, nobody knows how)",
    },
    { correlationId, commit: u8, code: i32, settlements: blob(limits.resumeSettlementsMax) },
  ),
  outcomeQuery: packet(
    0xa2,
    {
      name: "EVERHOLD_OUTCOME_QUERY",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Asks what became of a numbered send or commit. Changes nothing",
    },
    { correlationId, ...numbered },
  ),
  outcome: packet(
    0xa3,
    {
      name: "EVERHOLD_OUTCOME",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "Answers EVERHOLD_OUTCOME_QUERY: 0 not seen so far, 1 applied, 2 refused with `code`, 3 unknown. What it says is durable",
    },
    { correlationId, outcome: u8, code: i32 },
  ),
  commitAs: packet(
    0xa5,
    {
      name: "EVERHOLD_COMMIT_AS",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "As SESS_COMMIT, under a number that is used once: a repeat is answered with the recorded outcome, and touches no transaction",
    },
    { correlationId, ...numbered },
  ),
  commitBranchAs: packet(
    0xa6,
    {
      name: "EVERHOLD_COMMIT_BRANCH_AS",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "As SESS_XA_COMMIT in one phase, under a number that is used once: a repeat is answered with the recorded outcome, and touches no branch",
    },
    { xid, ...numbered },
  ),
  settle: packet(
    0xa4,
    {
      name: "EVERHOLD_SETTLE",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "One delivery is given back (action 0: counted as an attempt, to be delivered again after `delayMs`, −1 as the address is set), refused (1: dead-lettered with `reason`), or given back uncounted with all that came to the consumer after it (2). A delivery that the consumer does not hold is refused and nothing changes",
    },
    {
      consumerId: i64,
      messageId: i64,
      action: u8,
      delayMs: i64,
      reason: optionalText,
      requiresResponse: boolean,
      correlationId,
    },
  ),
} as const;
