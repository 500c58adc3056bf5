import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Log, Logins, LoginVerdict } from "@everhold/env";

import { limits } from "../limits.ts";
import { formatPasswordHash, isPassword, type PasswordHash } from "./password-hash.ts";

/** What somebody's password is compared with: a hash, or the password where a configuration holds it. */
export type Secret = PasswordHash | { readonly password: string };

/** Who may come in. */
export interface LoginRules {
  /** Missing: nobody is asked for a login. Empty: nobody can log in. */
  readonly users: ReadonlyMap<string, Secret> | undefined;
  /** Whether those may come in who give no name, where there are users. */
  readonly allowAnonymous: boolean;
}

/** Somebody who waits for a verdict, unless gone. */
interface Waiter {
  readonly onVerdict: (verdict: LoginVerdict) => void;
  isGone: boolean;
}

interface Check {
  readonly key: string;
  readonly password: string;
  readonly secret: PasswordHash;
  readonly isKnown: boolean;
  readonly waiters: Set<Waiter>;
}

/**
 * Checks logins against scrypt hashes, off the event loop and a few at a time, so that a thousand logins at
 * once neither stall the broker nor take its threads for files.
 *
 * A login that was right is remembered, as an HMAC under a key that only this process has: most programs log
 * in again and again. Equal logins that wait are checked once, and those that nobody waits for any more are not.
 * Whatever is wrong takes as long: of a name that there is none of, as much is computed as of one that there is,
 * so that the time tells nothing.
 */
export class NodeLogins implements Logins {
  readonly #log: Pick<Log, "error">;
  readonly #key = randomBytes(32);
  /** Logins that were right, the one that was used longest ago first. */
  readonly #right = new Set<string>();
  /** In the order in which they came. */
  readonly #waiting = new Set<Check>();
  readonly #checks = new Map<string, Check>();
  #runningCount = 0;
  #rules: LoginRules;
  #decoy: PasswordHash;

  constructor(rules: LoginRules, log: Pick<Log, "error">) {
    this.#rules = rules;
    this.#log = log;
    this.#decoy = decoyFor(rules);
  }

  get isRequired(): boolean {
    return this.#rules.users !== undefined;
  }

  /** Other users from now on. Who is in stays in; a check under way is judged by what held when it began. */
  replace(rules: LoginRules): void {
    this.#rules = rules;
    this.#decoy = decoyFor(rules);
    this.#right.clear();
  }

  check(
    user: string | null,
    password: string | null,
    onVerdict: (verdict: LoginVerdict) => void,
  ): () => void {
    const waiter: Waiter = { onVerdict, isGone: false };
    const verdict = this.#verdictOf(user, password);
    if (typeof verdict === "string") tell(waiter, verdict);
    else this.#enqueue({ ...verdict, waiters: new Set([waiter]) });
    return () => {
      waiter.isGone = true;
      if (typeof verdict !== "string") this.#leave(verdict.key, waiter);
    };
  }

  /** What is known at once, or what has to be computed for it. */
  #verdictOf(user: string | null, password: string | null): LoginVerdict | Omit<Check, "waiters"> {
    const { users, allowAnonymous } = this.#rules;
    if (users === undefined) return "welcome";
    if (user === null || user === "") return allowAnonymous ? "welcome" : "refused";
    if (password === null || password.length > limits.passwordCharsMax) return "refused";
    const found = users.get(user);
    const isPlain = found !== undefined && "password" in found;
    if (isPlain && timingSafeEqual(this.#digest(found.password), this.#digest(password))) {
      return "welcome";
    }
    const isKnown = found !== undefined && !isPlain;
    const secret = isKnown ? found : this.#decoy;
    const login = JSON.stringify([user, password, formatPasswordHash(secret)]);
    const key = this.#digest(login).toString("base64");
    if (!this.#right.delete(key)) return { key, password, secret, isKnown };
    this.#right.add(key);
    return "welcome";
  }

  #enqueue(check: Check): void {
    const equal = this.#checks.get(check.key);
    if (equal !== undefined) {
      for (const waiter of check.waiters) equal.waiters.add(waiter);
      return;
    }
    if (this.#waiting.size >= limits.loginsWaitingMax) {
      for (const waiter of check.waiters) tell(waiter, "later");
      return;
    }
    this.#checks.set(check.key, check);
    this.#waiting.add(check);
    this.#pump();
  }

  /** Somebody waits no more. What nobody waits for need not be computed. */
  #leave(key: string, waiter: Waiter): void {
    const check = this.#checks.get(key);
    if (check?.waiters.delete(waiter) !== true || check.waiters.size > 0) return;
    if (this.#waiting.delete(check)) this.#checks.delete(key);
  }

  #pump(): void {
    for (const check of this.#waiting) {
      if (this.#runningCount >= limits.passwordChecksAtOnce) return;
      this.#waiting.delete(check);
      this.#runningCount += 1;
      isPassword(check.password, check.secret).then(
        (isRight) => this.#finish(check, isRight && check.isKnown ? "welcome" : "refused"),
        (error: unknown) => {
          // Nobody's fault but the machine's: it has no memory for it.
          this.#log.error("A password could not be checked", { reason: String(error) });
          this.#finish(check, "later");
        },
      );
    }
  }

  #finish(check: Check, verdict: LoginVerdict): void {
    this.#runningCount -= 1;
    this.#checks.delete(check.key);
    if (verdict === "welcome") this.#remember(check.key);
    for (const waiter of check.waiters) tell(waiter, verdict);
    this.#pump();
  }

  #remember(key: string): void {
    this.#right.add(key);
    if (this.#right.size <= limits.rightLoginsMax) return;
    for (const oldest of this.#right) {
      this.#right.delete(oldest);
      return;
    }
  }

  #digest(text: string): Buffer {
    return createHmac("sha256", this.#key).update(text).digest();
  }
}

/** In a step of its own: what one does is nothing to the others. */
function tell(waiter: Waiter, verdict: LoginVerdict): void {
  setImmediate(() => {
    if (!waiter.isGone) waiter.onVerdict(verdict);
  });
}

/** A hash that nobody's password has, as costly as those of the users. */
function decoyFor({ users }: LoginRules): PasswordHash {
  const salt = randomBytes(16);
  const hash = randomBytes(32);
  for (const secret of users?.values() ?? []) {
    if (!("password" in secret)) return { ...secret, salt, hash };
  }
  return { cost: 2 ** 14, blockSize: 8, parallelization: 5, salt, hash };
}
