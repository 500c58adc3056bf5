import type { Prng } from "@everhold/base";
import type { ConnectOptions } from "@everhold/client";
import type { Logins, LoginVerdict, Ports } from "@everhold/env";
import type { FaultKind } from "../world/faults.ts";
import type { World } from "../world/world.ts";

/** One user of the broker. */
interface Account {
  readonly name: string;
  /** Given once and never changed, or asked for at each attempt to connect. */
  readonly isFixed: boolean;
  /** What the broker has; absent while the user is struck off. */
  accepted: string | undefined;
  /** What the user's own programs are given. */
  given: string;
  /** What they were given before. */
  old: string;
  refusedCount: number;
}

/** What the clients are told of their credentials, now and then. */
interface AccountCounts {
  loginsWelcome: number;
  loginsRefused: number;
  loginsPutOff: number;
  credentialsMissing: number;
  credentialsOld: number;
  credentialsSlow: number;
}

/**
 * The broker's users and their passwords. Each machine is a user of its own. While things go wrong passwords change,
 * at the broker before or after the programs are given the new one; users are struck off for a while; and whoever is
 * asked for a password fails, takes long, or gives the last one. At the end everything is right again.
 */
export class Accounts {
  readonly counts: AccountCounts = {
    loginsWelcome: 0,
    loginsRefused: 0,
    loginsPutOff: 0,
    credentialsMissing: 0,
    credentialsOld: 0,
    credentialsSlow: 0,
  };
  readonly #world: World;
  readonly #prng: Prng;
  readonly #accounts = new Map<string, Account>();
  #isCalm = false;
  #passwordCount = 0;

  constructor(world: World) {
    this.#world = world;
    this.#prng = world.randomFor("accounts");
  }

  /** What goes wrong with users and passwords at random times. */
  get kinds(): FaultKind[] {
    return [
      { name: "password changed", meanMs: 1_500, strike: (prng) => this.#changePassword(prng) },
      { name: "user struck off", meanMs: 8_000, strike: (prng) => this.#strikeOff(prng) },
    ];
  }

  /** Whether the broker has refused this user at least once. */
  wasRefused(name: string): boolean {
    return this.#account(name).refusedCount > 0;
  }

  /** Everybody has the right password from now on, and is told at once. */
  calm(): void {
    this.#isCalm = true;
    for (const account of this.#accounts.values()) account.accepted = account.given;
  }

  /** How one life of a user's program logs in. */
  credentials(
    name: string,
    { timers }: Pick<Ports, "timers">,
  ): Pick<ConnectOptions, "username" | "password"> {
    const account = this.#account(name);
    if (account.isFixed) return { username: name, password: account.given };
    const sleep = (delayMs: number): Promise<void> =>
      new Promise((resolve) => void timers.after(delayMs, resolve));
    return { username: name, password: () => this.#tell(account, sleep) };
  }

  /** The check at the broker's door, for one life of the broker. */
  readonly logins = ({ timers }: Pick<Ports, "timers">): Logins => ({
    isRequired: true,
    check: (user, password, onVerdict) => {
      const verdict = this.#judge(user, password);
      const isSlow = !this.#isCalm && this.#prng.chance(0.05);
      const delayMs = this.#prng.fraction() * (isSlow ? 12_000 : 20);
      const timer = timers.after(delayMs, () => onVerdict(verdict));
      return () => timer.cancel();
    },
  });

  #judge(user: string | null, password: string | null): LoginVerdict {
    if (!this.#isCalm && this.#prng.chance(0.03)) {
      this.counts.loginsPutOff += 1;
      return "later";
    }
    const account = this.#accounts.get(user ?? "");
    if (account?.accepted !== undefined && account.accepted === password) {
      this.counts.loginsWelcome += 1;
      return "welcome";
    }
    this.counts.loginsRefused += 1;
    if (account !== undefined) account.refusedCount += 1;
    return "refused";
  }

  /** @throws Error now and then: nobody knows the password just now */
  async #tell(account: Account, sleep: (delayMs: number) => Promise<void>): Promise<string> {
    if (this.#isCalm) return account.given;
    const chance = this.#prng.fraction();
    if (chance < 0.08) {
      this.counts.credentialsSlow += 1;
      await sleep(this.#prng.fraction() * this.#prng.pick([100, 3_000, 15_000]));
    } else if (chance < 0.14) {
      this.counts.credentialsMissing += 1;
      throw new Error("the vault is sealed");
    } else if (chance < 0.2) {
      this.counts.credentialsOld += 1;
      return account.old;
    }
    return account.given;
  }

  #changePassword(prng: Prng): boolean {
    const account = this.#anyChanging(prng);
    if (account === undefined || account.accepted === undefined) return false;
    const password = this.#newPassword();
    const atBroker = (): void => void (account.accepted = password);
    const atHome = (): void => {
      account.old = account.given;
      account.given = password;
    };
    const [first, second] = prng.chance(0.5) ? [atBroker, atHome] : [atHome, atBroker];
    first();
    this.#later(prng.fraction() * 1_500, "password changed elsewhere", second);
    return true;
  }

  #strikeOff(prng: Prng): boolean {
    const account = this.#anyChanging(prng);
    if (account === undefined || account.accepted === undefined) return false;
    account.accepted = undefined;
    this.#later(prng.fraction() * 4_000, "user is back", () => (account.accepted = account.given));
    return true;
  }

  /** Not any more once all is calm: then it is right already. */
  #later(delayMs: number, what: string, task: () => void): void {
    this.#world.after(delayMs, "accounts", what, () => {
      if (!this.#isCalm) task();
    });
  }

  #anyChanging(prng: Prng): Account | undefined {
    const changing = [...this.#accounts.values()].filter(({ isFixed }) => !isFixed);
    return changing[prng.integer(0, changing.length - 1)];
  }

  #account(name: string): Account {
    const known = this.#accounts.get(name);
    if (known !== undefined) return known;
    const password = this.#newPassword();
    const account: Account = {
      name,
      isFixed: this.#prng.chance(0.25),
      accepted: password,
      given: password,
      old: "never set",
      refusedCount: 0,
    };
    this.#accounts.set(name, account);
    return account;
  }

  #newPassword(): string {
    this.#passwordCount += 1;
    return `password ${this.#passwordCount}`;
  }
}
