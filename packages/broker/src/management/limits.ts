/** The limits of management. Each says its unit, why it is what it is, and what happens when it is hit. */
export const limits = {
  /** Characters of a request's arguments. Above: the request fails. */
  requestCharsMax: 1_000_000,
  /** Characters of a result as JSON, so that it fits into one message. Above: the request fails. */
  resultCharsMax: 4_000_000,
  /** Characters of the reason why a request failed. The rest is left out. */
  failureCharsMax: 4_096,
  /** Bytes of a reply besides its body that are counted in advance: its correlation id is as long as the client likes. */
  replyOverheadBytes: 1_024,
  /** Requests that wait for a walk through a queue to end, of all clients. Above: the next one fails. */
  requestsWaitingMax: 1_000,
  /** Messages that one walk looks at in one step, so that no step takes longer than some milliseconds. */
  rowsPerStep: 2_000,
  /** Milliseconds for which a walk rests while much waits to be written. Then it looks again. */
  walkPauseMs: 10,
  /** Messages that one listing shows, as in Artemis. What is behind them is not shown. */
  messagesListedMax: 200,
  /** Characters or bytes that a listing shows of one property, as in Artemis. The rest is left out. */
  propertyShownMax: 256,
  /** Groups that a count by property makes. Messages of further ones are counted in none. */
  groupsCountedMax: 10_000,
} as const;
