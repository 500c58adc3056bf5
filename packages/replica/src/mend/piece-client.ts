import { deferred } from "@everhold/base";
import type { Ports } from "@everhold/env";
import type { Frame } from "@everhold/group";
import type { SuppliedPiece } from "../driver/member-journal.ts";
import { limits } from "../limits.ts";
import type { Links, LinksListener } from "../links.ts";
import { PieceExchange } from "./piece-exchange.ts";

/** What a {@link PieceClient} is made of. */
export interface PieceClientParts {
  readonly ports: Pick<Ports, "timers">;
  readonly links: Pick<Links, "follow" | "send" | "disconnect">;
  /** Who is asked. */
  readonly id: string;
  /** That of the group's node. */
  readonly epoch: number;
}

/**
 * Asks one other member, whatever its role, for pieces of a journal that does not open: nobody follows or stands meanwhile,
 * as the member has no journal.
 */
export class PieceClient implements LinksListener {
  readonly #parts: PieceClientParts;
  readonly #pieces: PieceExchange;
  readonly #answered = deferred<boolean>();
  #link: number | undefined;

  constructor(parts: PieceClientParts) {
    this.#parts = parts;
    const { ports, links, epoch } = parts;
    this.#pieces = new PieceExchange({
      ...{ ports, links, epoch: () => epoch },
      journal: { readPiece: () => Promise.resolve(null) },
    });
  }

  /** Calls it; whether it can be asked. */
  async call(): Promise<boolean> {
    const { ports, links, id } = this.#parts;
    const timer = ports.timers.after(limits.pieceWaitMs, () => this.#answered.resolve(false));
    links.follow(id);
    const isLinked = await this.#answered.promise;
    timer.cancel();
    return isLinked;
  }

  /** The piece that begins at `position`; null: it has none, or does not answer. Never rejects. */
  fetch(position: number): Promise<SuppliedPiece | null> {
    return this.#pieces.fetch(position, this.#link === undefined ? [] : [this.#link]);
  }

  /** Asks no more: whatever was asked for is not there. Idempotent. */
  close(): void {
    this.#answered.resolve(false);
    this.#pieces.close();
    this.#parts.links.follow(null);
    if (this.#link !== undefined) this.#parts.links.disconnect(this.#link);
  }

  onConnected(link: number, id: string, outgoing: boolean): void {
    if (!outgoing || id !== this.#parts.id) return this.#parts.links.disconnect(link);
    this.#link = link;
    this.#answered.resolve(true);
  }

  onFrame(link: number, frame: Frame): void {
    // A live says to everybody that it is there.
    if (frame.kind !== "pieceAsk" && frame.kind !== "pieceGiven") return;
    if (link === this.#link) this.#pieces.onFrame(link, frame);
  }

  onDrained(_link: number): void {
    // Only small frames are sent.
  }

  onDisconnected(link: number): void {
    if (link !== this.#link) return;
    this.#link = undefined;
    this.#pieces.forget(link);
  }

  onUnreachable(id: string): void {
    if (id === this.#parts.id) this.#answered.resolve(false);
  }
}
