/** One operation of the protocol. */
export interface Operation {
  /** As in an error: "Cannot <name> /path". */
  readonly name: string;
  /** Its number in the request header. */
  readonly code: number;
  /** Whether it changes data, and so goes through the quorum. */
  readonly isWrite: boolean;
}
