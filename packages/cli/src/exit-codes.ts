/** What the process says when it ends. Listed in the help. */
export const exitCodes = {
  /** All that was asked for has happened. */
  ok: 0,
  /** It failed; standard error says why. */
  failure: 1,
  /** The command line is wrong. */
  usage: 2,
  /** `--timeout` passed before `--count` messages had come. */
  incomplete: 3,
  /** Stopped by Ctrl-C or SIGTERM before the end. */
  interrupted: 130,
} as const;
