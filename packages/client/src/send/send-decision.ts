/**
 * Which sends settle as they leave, rather than with the broker's answer: none at all, those in
 * transactions, those and what is not durable, or all. ActiveMQ's `alwaysSyncSend` is `never` here, its
 * default `nonDurable`, its `useAsyncSend` `always`.
 */
export type AsyncSend = "never" | "transacted" | "nonDurable" | "always";

/** The values of {@link AsyncSend}, the most careful first. */
export const asyncSends: readonly AsyncSend[] = ["never", "transacted", "nonDurable", "always"];

/** What decides when a send settles. */
export interface SendCircumstances {
  readonly asyncSend: AsyncSend;
  /** Whether the caller wants the broker's answer to this one. */
  readonly confirm: boolean;
  /** Whether there is a time limit: then there must be something to wait for. */
  readonly hasTimeout: boolean;
  readonly durable: boolean;
  readonly transacted: boolean;
}

/**
 * Whether a send settles as it leaves. What the broker refuses of it is told by the connection's `error`
 * events, in a transaction by `commit()`. Source: ActiveMQ Classic, `ActiveMQSession.send`.
 */
export function isAsyncSend(send: SendCircumstances): boolean {
  if (send.confirm || send.hasTimeout) return false;
  switch (send.asyncSend) {
    case "never":
      return false;
    case "transacted":
      return send.transacted;
    case "nonDurable":
      return send.transacted || !send.durable;
    case "always":
      return true;
  }
}
