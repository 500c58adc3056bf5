import { i32, long, struct, type ValueOf } from "@everhold/wire";

/** What every request but the first begins with. */
export const requestHeader = struct({
  /** Comes back in the answer. */
  xid: i32,
  /** The operation's number. */
  code: i32,
});

/** Bytes of a {@link requestHeader}. */
export const requestHeaderBytes = 8;

/** What every answer begins with, and a notification too. */
export const replyHeader = struct({
  xid: i32,
  /** The last transaction that the server has applied; 0 or less says nothing. */
  zxid: long,
  /** 0, or the error's number. */
  errorCode: i32,
});
/** What every answer begins with. */
export type ReplyHeader = ValueOf<typeof replyHeader>;

/** Bytes of a {@link replyHeader}: the whole of an answer that is an error. */
export const replyHeaderBytes = 16;

/** The request numbers that are not counted. An ordinary request has 1 … 2^31 − 1, then 1 again. */
export const specialXids = {
  /** From the server: a watch fired. */
  notification: -1,
  ping: -2,
  auth: -4,
  setWatches: -8,
} as const;

/** The largest number of an ordinary request. */
export const xidMax = 0x7fff_ffff;
