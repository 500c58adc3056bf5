/** What every answer begins with. */
export interface ReplyHeader {
  readonly xid: number;
  /** The last transaction that the server has applied; 0 or less says nothing. */
  readonly zxid: bigint;
  /** 0, or the error's number. */
  readonly errorCode: number;
}
