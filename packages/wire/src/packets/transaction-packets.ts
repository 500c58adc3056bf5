import { correlationId, noCorrelation, optionalText, xid } from "../core-fields.ts";
import { boolean, i32, list, maybe, since } from "../fields.ts";
import { limits } from "../limits.ts";
import { packet } from "../packet.ts";

/** Packets that end local transactions and drive XA ones. */
export const transactionPackets = {
  commit: packet(
    43,
    {
      name: "SESS_COMMIT",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Commits the session's transaction; always answered, with the correlation id if there is one",
    },
    { correlationId: since(132, maybe(correlationId), null) },
  ),
  rollback: packet(
    44,
    {
      name: "SESS_ROLLBACK",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Rolls the session's transaction back",
    },
    { considerLastMessageAsDelivered: boolean },
  ),
  xaFailed: packet(
    39,
    {
      name: "SESS_XA_FAILED",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "The connection broke during this branch; never answered",
    },
    { xid },
  ),
  xaStart: packet(
    51,
    {
      name: "SESS_XA_START",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Begins a branch",
    },
    { xid },
  ),
  xaEnd: packet(
    52,
    {
      name: "SESS_XA_END",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "The session's work for the branch is over",
    },
    { xid, failed: boolean },
  ),
  xaCommit: packet(
    53,
    {
      name: "SESS_XA_COMMIT",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Commits a branch",
    },
    { xid, onePhase: boolean },
  ),
  xaPrepare: packet(
    54,
    {
      name: "SESS_XA_PREPARE",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Makes a branch durable, undecided",
    },
    { xid },
  ),
  xaResponse: packet(
    55,
    {
      name: "SESS_XA_RESP",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "Answers XA requests; 0 is success, other codes are those of XAException",
    },
    {
      error: boolean,
      responseCode: i32,
      message: optionalText,
      correlationId: since(130, correlationId, noCorrelation),
    },
  ),
  xaRollback: packet(
    56,
    {
      name: "SESS_XA_ROLLBACK",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Rolls a branch back",
    },
    { xid },
  ),
  xaJoin: packet(
    57,
    {
      name: "SESS_XA_JOIN",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Works for a branch that another session began",
    },
    { xid },
  ),
  xaSuspend: packet(
    58,
    {
      name: "SESS_XA_SUSPEND",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Leaves the branch for a while",
    },
    {},
  ),
  xaResume: packet(
    59,
    {
      name: "SESS_XA_RESUME",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Comes back to a branch",
    },
    { xid },
  ),
  xaForget: packet(
    60,
    {
      name: "SESS_XA_FORGET",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Forgets a branch that was decided by hand",
    },
    { xid },
  ),
  xaInDoubtXids: packet(
    61,
    {
      name: "SESS_XA_INDOUBT_XIDS",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Asks which branches are prepared and undecided",
    },
    {},
  ),
  xaInDoubtXidsResponse: packet(
    62,
    {
      name: "SESS_XA_INDOUBT_XIDS_RESP",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "Names them",
    },
    { xids: list(xid, limits.xidCountMax) },
  ),
  xaSetTimeout: packet(
    63,
    {
      name: "SESS_XA_SET_TIMEOUT",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Sets the time limit of branches, in seconds",
    },
    { seconds: i32 },
  ),
  xaSetTimeoutResponse: packet(
    64,
    {
      name: "SESS_XA_SET_TIMEOUT_RESP",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "Whether the limit was accepted",
    },
    { accepted: boolean },
  ),
  xaGetTimeout: packet(
    65,
    {
      name: "SESS_XA_GET_TIMEOUT",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Asks for the time limit of branches",
    },
    {},
  ),
  xaGetTimeoutResponse: packet(
    66,
    {
      name: "SESS_XA_GET_TIMEOUT_RESP",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "The limit, in seconds",
    },
    { seconds: i32 },
  ),
} as const;
