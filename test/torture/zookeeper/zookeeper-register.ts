import { EverholdError, ops, type ZooKeeper } from "@everhold/zookeeper";

import type { Stalls } from "./stalls.ts";
import type { Teller } from "./teller.ts";

/** Holds the token of the newest turn that was entered; what a turn does checks its version. */
export const epochPath = "/torture/epoch";

/** A counter. */
export const registerPath = "/torture/register";

/**
 * A counter in ZooKeeper itself, which is guarded without a token of its own: a turn is entered in a node of which each
 * change checks the version, together with what it does, so that a newer turn ends the older one's changes.
 */
export class ZooKeeperRegister {
  readonly #client: ZooKeeper;
  readonly #stalls: Stalls;
  readonly #teller: Teller;
  readonly #token: number;
  #entered: { readonly version: number; readonly count: number } | undefined;

  constructor(client: ZooKeeper, stalls: Stalls, teller: Teller, token: number) {
    this.#client = client;
    this.#stalls = stalls;
    this.#teller = teller;
    this.#token = token;
  }

  /** Adds one; returns whether to go on. */
  async add(): Promise<boolean> {
    try {
      this.#entered ??= await this.#teller.settles("enter", this.#enter());
    } catch (error) {
      if (EverholdError.is(error)) return false;
      throw error;
    }
    if (this.#entered === undefined) return false;
    const { version } = this.#entered;
    const count = this.#entered.count + 1;
    this.#stalls.beforeWrite();
    try {
      const change = [
        ops.check(epochPath, { version }),
        ops.setData(registerPath, String(count)),
      ] as const;
      const [, stat] = await this.#teller.settles("multi", this.#client.multi(change));
      this.#told("applied", count, Number(stat.mzxid));
    } catch (error) {
      if (!EverholdError.is(error)) throw error;
      this.#told(error.outcome === "none" ? "none" : "unknown", count, 0);
      return false;
    }
    this.#entered = { version, count };
    return true;
  }

  /** Makes older turns' changes fail, and reads what they have come to; nothing where a newer one has entered. */
  async #enter(): Promise<{ readonly version: number; readonly count: number } | undefined> {
    const { data, stat } = await this.#client.getData(epochPath, { fresh: true });
    if (Number(new TextDecoder().decode(data ?? undefined)) >= this.#token) return undefined;
    const { version } = await this.#client.setData(epochPath, String(this.#token), {
      expected: stat,
      uniqueData: true,
    });
    const { data: counted } = await this.#client.getData(registerPath);
    return { version, count: Number(new TextDecoder().decode(counted ?? undefined)) };
  }

  #told(outcome: "applied" | "none" | "unknown", count: number, zxid: number): void {
    const { process, tell } = this.#teller;
    tell({ kind: "changed", process, token: this.#token, outcome, count, zxid });
  }
}
