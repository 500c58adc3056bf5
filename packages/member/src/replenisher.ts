import { EverholdError } from "@everhold/base";
import { pause, type Ports } from "@everhold/env";
import type { Coordinator, Frame, GroupState } from "@everhold/group";
import { FolderFill, mendFolder } from "@everhold/journal";
import { FillClient, PieceClient, type Links } from "@everhold/replica";
import { asError } from "./as-error.ts";
import type { Life } from "./life.ts";
import { limits } from "./limits.ts";
import type { LinkRelay } from "./link-relay.ts";
import type { MemberPlaces } from "./member-places.ts";
import { MendTimes } from "./mend-times.ts";

/** What {@link Replenisher} needs. */
export interface ReplenisherParts {
  readonly ports: Ports;
  /** Whose folder it is. */
  readonly member: string;
  readonly groupId: Uint8Array;
  readonly links: Links;
  readonly relay: LinkRelay;
  readonly places: MemberPlaces;
  readonly coordinator: Pick<Coordinator, "read">;
  /** Ends all waiting. */
  readonly signal: AbortSignal;
}

/**
 * Makes a member's data folder good again with what other members have, between two lives: nobody has its journal open
 * meanwhile.
 */
export class Replenisher {
  readonly #parts: ReplenisherParts;
  #filling: FillClient | undefined;
  #asking: PieceClient | undefined;

  constructor(parts: ReplenisherParts) {
    this.#parts = parts;
  }

  /** How far it is with filling the folder; undefined while it does not. */
  get progress(): FillClient["progress"] | undefined {
    return this.#filling?.progress;
  }

  /** Gives up what is under way. Idempotent. */
  close(): void {
    this.#filling?.close();
    this.#asking?.close();
  }

  /**
   * The disk has damaged what a start needs: the folder is filled from another member that leads, which has all that was ever
   * committed. Where nobody does, this journal may be all that there is: it is mended with what another member has, and else
   * left as it is. Ends with the life that `open` gives, once that finds no damage.
   *
   * @throws EverholdError EVH_CLOSED, EVH_ABORTED; and what `open` throws
   */
  async replace(damage: EverholdError, open: () => Promise<Life | EverholdError>): Promise<Life> {
    const { ports, member, coordinator, places, signal } = this.#parts;
    ports.log.error("The disk has damaged this member's journal: it is filled up from the live", {
      ...{ member, problem: damage.message },
    });
    const times = new MendTimes(ports, places);
    let isTold = false;
    while (!signal.aborted) {
      const read = await coordinator.read();
      if (signal.aborted) break;
      const state = read.kind === "state" ? read.known.state : undefined;
      const live = state?.live?.id;
      let isNews = true;
      if (state !== undefined && live !== undefined && live !== member) {
        await this.fill(live, state.epoch);
      } else {
        if (!isTold) ports.log.error(whyItWaits(state, member), { member });
        isTold = true;
        isNews = times.isDue && (await this.#mend(state?.epoch ?? 0, times));
      }
      if (signal.aborted) break;
      const found = isNews ? await open() : damage;
      if (!EverholdError.is(found)) return found;
      await pause(ports, limits.retryMs, signal);
    }
    throw new EverholdError("EVH_CLOSED", `${member} was closed while it started`);
  }

  /** Tries once to make the folder of what the live has; whatever comes of it, the next life begins with what the disk says. */
  async fill(live: string, epoch: number): Promise<void> {
    const { ports, member, groupId, links, relay, signal } = this.#parts;
    try {
      const open = ({ epoch: of, commitPosition, files }: Frame<"fillOffer">) =>
        FolderFill.begin(ports, { groupId, epoch: of, commitPosition, files });
      this.#filling = new FillClient({ ports, links, live, epoch, open });
      relay.use(this.#filling);
      await this.#filling.run();
      ports.log.info("This member was filled up", { member, live });
    } catch (error) {
      ports.log.warn("This member could not be filled up: it tries again", {
        ...{ member, live, problem: asError(error).message },
      });
      await pause(ports, limits.fillAgainMs, signal).catch(() => undefined);
    } finally {
      this.#filling = undefined;
      relay.leave();
    }
  }

  /** Mends a journal that does not open with what other members have; whether anything was mended. */
  async #mend(epoch: number, times: MendTimes): Promise<boolean> {
    const { member, places, signal } = this.#parts;
    let count = 0;
    times.begin();
    for (const id of places.ids) {
      if (id !== member && !signal.aborted) count += await this.#mendFrom(id, epoch);
    }
    times.end(count > 0);
    return count > 0;
  }

  /** How many ranges were mended. */
  async #mendFrom(id: string, epoch: number): Promise<number> {
    const { ports, member, groupId, links, relay, signal } = this.#parts;
    const asking = new PieceClient({ ports, links, id, epoch });
    this.#asking = asking;
    relay.use(asking);
    try {
      if (!(await asking.call())) return 0;
      const supply = (position: number) => asking.fetch(position);
      const ranges = await mendFolder({ ports, groupId, supply, isOver: () => signal.aborted });
      if (ranges > 0) {
        ports.log.info("This member's journal was mended with what another one has", {
          ...{ member, from: id, ranges },
        });
      }
      return ranges;
    } catch (error) {
      ports.log.warn("This member's journal could not be mended: it tries again", {
        ...{ member, from: id, problem: asError(error).message },
      });
      return 0;
    } finally {
      asking.close();
      this.#asking = undefined;
      relay.leave();
    }
  }
}

/** Why a member whose journal does not open waits, and what is to be done. */
function whyItWaits(state: GroupState | undefined, member: string): string {
  const isAlone = state?.inSync.every(({ id }) => id === member) === true;
  return isAlone ? messages.aloneInSync : messages.nobodyLeads;
}

const messages = {
  nobodyLeads:
    "Nobody else leads who could fill this member up: start the other members, or restore its data folder from a backup",
  aloneInSync:
    "This member alone is in sync, so nobody else may lead, and its journal is damaged: start the other members, which may have what it lacks; " +
    "restore its data folder from a backup; or stop it and take the loss of what only it had: everhold ha promote-uncleanly, on another member",
} as const;
