/** How a session came back on another connection. */
export interface SessionReturn {
  /** `reattached`: the broker had kept it; `recreated`: with all that belonged to it, as a new one. */
  readonly way: "reattached" | "recreated";
  /** Sends that were written again, as they were or under their marks. */
  readonly sendsReplayed: number;
  /** Sends whose answer was missing, and which the broker said it had. */
  readonly sendsSuppressed: number;
  /** Sends that were rejected with the outcome `unknown`, because of this break. */
  readonly sendsInDoubt: number;
}
