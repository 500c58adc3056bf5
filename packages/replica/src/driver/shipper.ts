import type { JournalPin, MemberJournal } from "./member-journal.ts";
import type { Links } from "../links.ts";
import { limits } from "../limits.ts";

/** What a live knows at the moment of shipping: what goes with a piece, and how far the backup has come. */
export interface ShipNews {
  readonly epoch: number;
  readonly commitPosition: number;
  /** Everything before it is durable at the backup. */
  readonly acknowledged: number;
}

/**
 * Streams a live's journal to one backup, from memory as soon as a batch is sealed, from the disk where it is behind. No
 * more than a window is on its way to the backup's disk: a slow one would otherwise have it in memory.
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
    parts: {
      readonly journal: MemberJournal;
      readonly links: Links;
      /** What it is to send can't be had; it sends nothing more. */
      readonly onFailed: (error: unknown) => void;
    },
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
    const { epoch, commitPosition, acknowledged } = this.#news();
    while (this.#position - acknowledged < limits.shipWindowBytes && this.#isTaken()) {
      const next = this.#journal.pieceAt(this.#position);
      if (next === null) break;
      if (next === "on disk") return this.#load();
      const { position, end, chain, bytes: piece } = next;
      const frame = { kind: "append", epoch, commitPosition, position, end, chain, piece } as const;
      this.#links.send(this.#link, frame);
      this.#position = end;
    }
    this.#pin.move(this.#position);
  }

  /** Whether the system takes what is sent. Where it does not, `onDrained` tells when it does again. */
  #isTaken(): boolean {
    return this.#links.queuedBytes(this.#link) < limits.shipWindowBytes;
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
