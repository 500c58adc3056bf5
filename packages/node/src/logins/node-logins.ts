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

interface Check {
  readonly key: string;
  readonly password: string;
  readonly secret: PasswordHash;
  readonly isKnown: boolean;
  readonly waiters: ((verdict: LoginVerdict) => void)[];
}

/**
 * Checks logins against scrypt hashes, off the event loop and a few at a time, so that a thousand logins at
 * once neither stall the broker nor take its threads for files.
 *
 * A login that was right is remembered, as an HMAC under a key that only this process has: most programs log
 * in again and again. Equal logins that wait are checked once. Of a name that there is none of, as much is
 * computed as of one that there is, so that the time tells nothing.
 */
export class NodeLogins implements Logins {
  readonly #log: Pick<Log, "error">;
  readonly #key = randomBytes(32);
  /** Logins that were right, the one that was used longest ago first. */
  readonly #right = new Set<string>();
  readonly #waiting: Check[] = [];
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
  ): void {
    const { users, allowAnonymous } = this.#rules;
    const later = (verdict: LoginVerdict): void => void setImmediate(onVerdict, verdict);
    if (users === undefined) return later("welcome");
    const isUnnamed = user === null || user === "";
    if (isUnnamed) return later(allowAnonymous ? "welcome" : "refused");
    if (password === null || password.length > limits.passwordCharsMax) return later("refused");
    const secret = users.get(user);
    if (secret !== undefined && "password" in secret) {
      const isEqual = timingSafeEqual(this.#digest(secret.password), this.#digest(password));
      return later(isEqual ? "welcome" : "refused");
    }
    const known = secret ?? this.#decoy;
    const key = this.#digest(JSON.stringify([user, password, formatPasswordHash(known)])).toString(
      "base64",
    );
    if (this.#right.delete(key)) {
      this.#right.add(key);
      return later("welcome");
    }
    this.#enqueue({
      key,
      password,
      secret: known,
      isKnown: secret !== undefined,
      waiters: [onVerdict],
    });
  }

  #enqueue(check: Check): void {
    const equal = this.#checks.get(check.key);
    if (equal !== undefined) {
      equal.waiters.push(...check.waiters);
      return;
    }
    if (this.#waiting.length >= limits.loginsWaitingMax) {
      for (const waiter of check.waiters) setImmediate(waiter, "later");
      return;
    }
    this.#checks.set(check.key, check);
    this.#waiting.push(check);
    this.#pump();
  }

  #pump(): void {
    while (this.#runningCount < limits.passwordChecksAtOnce) {
      const check = this.#waiting.shift();
      if (check === undefined) return;
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
    // A step each: what one of them does is nothing to the others.
    for (const waiter of check.waiters) setImmediate(waiter, verdict);
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

/** A hash that nobody's password has, as costly as those of the users. */
function decoyFor({ users }: LoginRules): PasswordHash {
  const salt = randomBytes(16);
  const hash = randomBytes(32);
  for (const secret of users?.values() ?? []) {
    if (!("password" in secret)) return { ...secret, salt, hash };
  }
  return { cost: 2 ** 14, blockSize: 8, parallelization: 5, salt, hash };
}
