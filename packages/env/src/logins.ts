/** What became of a login. `"later"`: too many others wait to be checked, it may be tried again. */
export type LoginVerdict = "welcome" | "refused" | "later";

/**
 * Who may come in. To check a password is slow on purpose, so that nobody can guess many; it happens
 * elsewhere, and the verdict comes in a later step.
 */
export interface Logins {
  /** Whether a name and a password are asked for at all. May change while a broker runs. */
  readonly isRequired: boolean;
  /**
   * Looks whether somebody who says that they are `user` may come in. `onVerdict` is called once, later; not any
   * more when the function given back was called, because whoever asked has gone. Where no login is required
   * everybody is welcome.
   */
  check(
    user: string | null,
    password: string | null,
    onVerdict: (verdict: LoginVerdict) => void,
  ): () => void;
}
