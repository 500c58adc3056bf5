import { ClosedError, EverholdError } from "@everhold/base";
import type { Claim, Claims } from "@everhold/env";
import { isSameReplica, type MemberAddress, type Replica } from "@everhold/group";
import { messageOf } from "../group-access.ts";
import { limits } from "../limits.ts";
import { encodeMemberAddress } from "../member-address.ts";
import type { ClaimWatches } from "./claim-watches.ts";
import type { GroupDocument, RegisteredMember } from "./group-document.ts";
import type { GroupFolder, LocalPorts, Revision } from "./group-folder.ts";

/** What a {@link Presence} works with. */
export interface PresenceParts {
  readonly ports: LocalPorts;
  readonly folder: GroupFolder;
  readonly claims: Claims;
  readonly watches: ClaimWatches;
  readonly closing: AbortSignal;
}

/** This process in the group: its claim, the member that it registered, and whether it leads. */
export class Presence {
  readonly #parts: PresenceParts;
  #claim: Promise<{ readonly name: string; readonly claim: Claim }> | undefined;
  #registered: MemberAddress | undefined;
  #isRegistering = false;
  #led: { readonly self: Replica; readonly epoch: number } | undefined;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
  }

  /**
   * This process asks to lead. Gives the name of its claim, which stands for the live if it does.
   * @throws EverholdError EVH_CONFIG, EVH_IO
   */
  stand(self: Replica, epoch: number): Promise<string> {
    this.#led = { self, epoch };
    return this.#claimName();
  }

  /**
   * Registers a member. Where a process of the same id is registered and runs, this fails at once; it may be called again.
   * @throws EverholdError EVH_MEMBER_EXISTS, EVH_CLOSED, EVH_ILLEGAL_STATE, EVH_NODE_FORMAT, EVH_CONFIG
   * @throws EverholdError what the folder could not be read or written for
   */
  async register(address: MemberAddress): Promise<void> {
    encodeMemberAddress(address);
    if (this.#isRegistering || this.#registered !== undefined) {
      const found = "this coordinator has registered a member already";
      const message = `Cannot register ${address.replica.id}: ${found}`;
      throw new EverholdError("EVH_ILLEGAL_STATE", message);
    }
    this.#isRegistering = true;
    try {
      await this.#register(address);
      this.#registered = address;
    } finally {
      this.#isRegistering = false;
    }
  }

  /** Writes again what others have removed, or what a claim stood for that is gone. Gives whether this process leads. */
  async restore({ document }: Revision): Promise<boolean> {
    await this.#replaceClaim();
    const own = this.#claim === undefined ? undefined : await this.#claimName();
    const registered = this.#registered;
    if (registered !== undefined && !document.members.some(({ claim }) => claim === own)) {
      await this.#register(registered);
    }
    if (!this.#leads(document)) return false;
    if (document.live?.claim === own) return true;
    const claim = await this.#claimName();
    await this.#parts.folder.change(({ document: newest }) => {
      if (!this.#leads(newest) || newest.live?.claim === claim) return undefined;
      return { ...newest, live: { claim, epoch: newest.state?.epoch ?? 0 } };
    });
    return true;
  }

  /** Takes out what stands for this process, and ends its claim. */
  async giveBack(): Promise<void> {
    if (this.#claim === undefined) return;
    const { folder, ports } = this.#parts;
    try {
      const { name, claim } = await this.#claim;
      const isOwn = (one: { readonly claim: string } | null): boolean => one?.claim === name;
      try {
        await folder.change(({ document }) => {
          const { live, members } = document;
          if (!isOwn(live) && !members.some(isOwn)) return undefined;
          const others = members.filter((member) => !isOwn(member));
          return { ...document, live: isOwn(live) ? null : live, members: others };
        });
      } finally {
        await claim.release();
      }
    } catch (error) {
      ports.log.debug("What stands for this process is left to its end", {
        error: messageOf(error),
      });
    }
  }

  async #register(address: MemberAddress): Promise<void> {
    const { folder, watches } = this.#parts;
    const { id } = address.replica;
    const own: RegisteredMember = { claim: await this.#claimName(), address };
    const isOther = ({ claim, address: other }: RegisteredMember): boolean =>
      other.replica.id === id && claim !== own.claim;
    for (;;) {
      const found = await folder.read();
      this.#checkOpen();
      const others = found?.document.members.filter(isOther) ?? [];
      for (const other of others) {
        await watches.settled(other.claim);
        this.#checkOpen();
        if (watches.isHeld(other.claim)) throw this.#existsError(own, other);
      }
      let isWritten = false;
      await folder.change(({ document }) => {
        isWritten = document.members.some(({ claim }) => claim === own.claim);
        if (isWritten) return undefined;
        const left = document.members.filter(({ claim }) => !watches.isGone(claim));
        // Somebody has come meanwhile, and has to be looked at.
        if (left.some(isOther)) return undefined;
        if (left.length >= limits.localMemberCountMax) throw this.#crowdedError(own, left.length);
        return { ...document, members: [...left, own] };
      });
      // The next round says whether it is there.
      if (isWritten) return;
    }
  }

  /** The name of this process's claim, which is made when it is asked for first. @throws EverholdError EVH_CONFIG, EVH_IO */
  async #claimName(): Promise<string> {
    this.#claim ??= this.#makeClaim();
    const making = this.#claim;
    try {
      return (await making).name;
    } catch (error) {
      if (this.#claim === making) this.#claim = undefined;
      throw error;
    }
  }

  /** A claim whose socket somebody has removed stands for nothing any more. */
  async #replaceClaim(): Promise<void> {
    if (this.#claim === undefined) return;
    const { name, claim } = await this.#claim;
    if (!this.#parts.watches.isGone(name)) return;
    this.#parts.ports.log.warn("Claim of this process is gone, and is made anew", { name });
    this.#claim = undefined;
    await claim.release();
  }

  #leads({ state }: GroupDocument): boolean {
    if (state === null || this.#led === undefined) return false;
    return state.epoch === this.#led.epoch && isSameReplica(state.live, this.#led.self);
  }

  async #makeClaim(): Promise<{ readonly name: string; readonly claim: Claim }> {
    const { ports, claims } = this.#parts;
    const bytes = new Uint8Array(8);
    ports.random.fill(bytes);
    const name = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return { name, claim: await claims.make(name) };
  }

  /** @throws EverholdError EVH_CLOSED */
  #checkOpen(): void {
    if (!this.#parts.closing.aborted) return;
    throw closedError(this.#parts.folder);
  }

  #existsError({ address }: RegisteredMember, other: RegisteredMember): EverholdError {
    const name = ({ id, incarnation }: Replica): string => `${id}@${incarnation}`;
    return new EverholdError(
      "EVH_MEMBER_EXISTS",
      `Cannot register ${name(address.replica)} in ${this.#parts.folder.location}: ${name(other.address.replica)} is ` +
        `registered, by the process of the claim ${other.claim}; one process at a time may have an id`,
    );
  }

  #crowdedError({ address }: RegisteredMember, count: number): EverholdError {
    return new EverholdError(
      "EVH_CONFIG",
      `Cannot register ${address.replica.id} in ${this.#parts.folder.location}: found ${count} members that run, ` +
        `at most ${limits.localMemberCountMax} are allowed`,
    );
  }
}

/** What is told of a coordinator that was closed. */
export function closedError({ location }: GroupFolder): ClosedError {
  return new ClosedError("EVH_CLOSED", `The coordinator of the group in ${location} is closed`);
}
