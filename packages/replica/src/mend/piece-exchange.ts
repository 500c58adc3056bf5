import type { Ports, Timer } from "@everhold/env";
import type { Frame } from "@everhold/group";
import type { SuppliedPiece } from "../driver/member-journal.ts";
import { limits } from "../limits.ts";
import type { Links } from "../links.ts";

/** What a {@link PieceExchange} is made of. */
export interface PieceExchangeParts {
  readonly ports: Pick<Ports, "timers">;
  readonly journal: { readPiece(position: number): Promise<SuppliedPiece | null> };
  readonly links: Pick<Links, "send" | "disconnect">;
  /** The epoch that this member speaks for. */
  readonly epoch: () => number;
}

interface Asked {
  readonly link: number;
  readonly position: number;
  readonly timer: Timer;
  readonly settle: (piece: SuppliedPiece | null) => void;
}

/**
 * Pieces of the journal for members whose disk has damaged theirs: asked for of one member after the other, whatever their
 * roles, and given to whoever asks. What comes is believed by nobody before the journal has compared it with what is whole.
 */
export class PieceExchange {
  readonly #parts: PieceExchangeParts;
  readonly #asked = new Set<Asked>();
  /** Pieces that are being read, by who asked for them. */
  readonly #reads = new Map<number, number>();
  #isOver = false;

  constructor(parts: PieceExchangeParts) {
    this.#parts = parts;
  }

  /** The piece that begins at `position`, from the first of these links that gives it; null: none does. Never rejects. */
  async fetch(position: number, links: Iterable<number>): Promise<SuppliedPiece | null> {
    for (const link of [...links]) {
      if (this.#isOver) return null;
      const piece = await this.#ask(link, position);
      if (piece !== null) return piece;
    }
    return null;
  }

  onFrame(link: number, frame: Frame<"pieceAsk" | "pieceGiven">): void {
    if (this.#isOver) return;
    if (frame.kind === "pieceAsk") return this.#give(link, frame.position);
    const { position, end, piece } = frame;
    for (const asked of this.#asked) {
      if (asked.link !== link || asked.position !== position) continue;
      // The frame's bytes are valid during the call only.
      asked.settle(piece.length === 0 ? null : { position, end, bytes: piece.slice() });
    }
  }

  /** The link is gone. */
  forget(link: number): void {
    this.#reads.delete(link);
    for (const asked of this.#asked) if (asked.link === link) asked.settle(null);
  }

  close(): void {
    this.#isOver = true;
    for (const asked of this.#asked) asked.settle(null);
  }

  #ask(link: number, position: number): Promise<SuppliedPiece | null> {
    const { ports, links, epoch } = this.#parts;
    return new Promise((resolve) => {
      const asked: Asked = {
        link,
        position,
        timer: ports.timers.after(limits.pieceWaitMs, () => asked.settle(null)),
        settle: (piece) => {
          asked.timer.cancel();
          this.#asked.delete(asked);
          resolve(piece);
        },
      };
      this.#asked.add(asked);
      links.send(link, { kind: "pieceAsk", epoch: epoch(), position });
    });
  }

  #give(link: number, position: number): void {
    const { journal, links, epoch } = this.#parts;
    const count = (this.#reads.get(link) ?? 0) + 1;
    if (count > limits.pieceReadsMax) return links.disconnect(link);
    this.#reads.set(link, count);
    journal.readPiece(position).then(
      (piece) => {
        const open = this.#reads.get(link);
        // The link has gone meanwhile.
        if (open === undefined || this.#isOver) return;
        this.#reads.set(link, open - 1);
        const { end, bytes } = piece ?? { end: position, bytes: new Uint8Array(0) };
        links.send(link, { kind: "pieceGiven", epoch: epoch(), position, end, piece: bytes });
      },
      () => links.disconnect(link),
    );
  }
}
