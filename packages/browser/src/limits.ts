/** Every limit of this package, with its unit, its reason, and what happens when it is hit. */
export const limits = {
  /**
   * Bytes of one message to the broker; more go in several. Artemis closes a WebSocket for a larger one by default,
   * and so does Everhold.
   */
  messageBytesMax: 64 * 1024,
  /** Bytes of randomness fetched at once; more are fetched when they are used up. */
  randomPoolBytes: 4096,
  /** Bytes that a browser gives at one call of `getRandomValues`; more are fetched in several. */
  randomBytesMax: 65_536,
  /** The longest single `setTimeout`, in ms (a browser's own limit); longer delays are taken in steps. */
  timerStepMsMax: 2 ** 31 - 1,
  /** Milliseconds between two looks at what the browser has not sent yet: it does not tell when it has. */
  drainPollMs: 20,
  /** Milliseconds between two looks at timers while the page is hidden, where browsers slow these down. */
  hiddenTickMs: 1_000,
} as const;
