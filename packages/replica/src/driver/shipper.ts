import type { JournalPin, MemberJournal } from "./member-journal.ts";
import type { Links } from "../links.ts";
import { limits } from "../limits.ts";

/** What goes with every piece. */
export interface ShipNews {
  readonly epoch: number;
  readonly commitPosition: number;
}

/**
 * Streams a live's journal to one backup, from memory as soon as a batch is sealed, from the disk where it is behind. A
 * backup that does not take it is read no further than a window.
 */
export class Shipper {
  readonly #journal: MemberJournal;
  readonly #links: Links;
  readonly #link: number;
  readonly #news: () => ShipNews;
  readonly #onFailed: (error: unknown) => void;
  readonly #pin: JournalPin;
  #position: number;
  #isLoading = false;
  #isOver = false;

  constructor(
    parts: { journal: MemberJournal; links: Links; onFailed: (error: unknown) => void },
    link: number,
    from: number,
    news: () => ShipNews,
  ) {
    this.#journal = parts.journal;
    this.#links = parts.links;
    this.#onFailed = parts.onFailed;
    this.#link = link;
    this.#position = from;
    this.#news = news;
    this.#pin = parts.journal.pin(from);
  }

  /** Sends what there is and what the window takes. */
  pump(): void {
    if (this.#isOver || this.#isLoading) return;
    while (this.#links.queuedBytes(this.#link) < limits.shipWindowBytes) {
      const piece = this.#journal.pieceAt(this.#position);
      if (piece === null) return;
      if (piece === "on disk") return this.#load();
      const { position, end, chain, bytes } = piece;
      this.#position = end;
      this.#links.send(this.#link, {
        kind: "append",
        ...this.#news(),
        position,
        end,
        chain,
        piece: bytes,
      });
    }
    this.#pin.move(this.#position);
  }

  /** The link is gone. */
  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#pin.release();
  }

  #load(): void {
    this.#isLoading = true;
    this.#pin.move(this.#position);
    this.#journal.loadPiece(this.#position).then(
      () => {
        this.#isLoading = false;
        this.pump();
      },
      (error: unknown) => {
        if (!this.#isOver) this.#onFailed(error);
      },
    );
  }
}
