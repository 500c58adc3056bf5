import { deferred, EverholdError, ProtocolError } from "@everhold/base";
import type { Ports, Timer } from "@everhold/env";
import { groupLimits, type Frame } from "@everhold/group";
import type { SuppliedPiece } from "../driver/member-journal.ts";
import { limits } from "../limits.ts";
import type { Links, LinksListener } from "../links.ts";
import { PieceExchange } from "../mend/piece-exchange.ts";

/** A folder that is being filled: as a whole, or not at all. */
export interface FillTarget {
  /** Stores what comes next, file after file. @throws EverholdError what the disk says */
  write(bytes: Uint8Array): Promise<void>;
  /** Everything is there: the folder holds it from now on. @throws EverholdError what the disk says */
  complete(): Promise<void>;
  /** Of what the folder holds until then; null: it has none. @throws EverholdError what the disk says */
  readPiece(position: number): Promise<SuppliedPiece | null>;
  /** Gives up: the folder holds what it held. Idempotent, also after `complete`. */
  abandon(): Promise<void>;
}

/** What a {@link FillClient} is made of. */
export interface FillClientParts {
  readonly ports: Pick<Ports, "timers" | "monotonicClock" | "log" | "hash">;
  readonly links: Pick<Links, "follow" | "send" | "disconnect">;
  /** Who leads. */
  readonly live: string;
  /** What this member has promised: no live of a lower one fills it. */
  readonly epoch: number;
  /** Opens the folder, whose journal is closed. */
  readonly open: (offer: Frame<"fillOffer">) => Promise<FillTarget>;
}

/**
 * A backup's side of a fill: it calls its live, asks for the files of its journal, and has its folder made of them. Nobody
 * follows or stands meanwhile: the member has no journal.
 */
export class FillClient implements LinksListener {
  readonly #parts: FillClientParts;
  readonly #ended = deferred<undefined>();
  /** The live's own journal may be damaged where this folder, which is closed, still has what was there. */
  readonly #pieces: PieceExchange;
  #link: number | undefined;
  #offer: Frame<"fillOffer"> | undefined;
  #target: FillTarget | undefined;
  /** What is asked for next, and what comes next. */
  #asked = { file: 0, position: 0 };
  #expected = { file: 0, position: 0 };
  #asksOpen = 0;
  #writing: Promise<void> = Promise.resolve();
  #doneBytes = 0;
  #totalBytes = 0;
  #toldMs = 0;
  #silence: Timer | undefined;
  #isOver = false;

  constructor(parts: FillClientParts) {
    this.#parts = parts;
    const { ports, links, epoch } = parts;
    this.#pieces = new PieceExchange({
      ...{ ports, links, epoch: () => epoch },
      journal: { readPiece: async (position) => (await this.#target?.readPiece(position)) ?? null },
    });
    this.#ended.promise.catch(() => undefined);
  }

  /** Bytes that are stored, and all. */
  get progress(): { readonly doneBytes: number; readonly totalBytes: number } {
    return { doneBytes: this.#doneBytes, totalBytes: this.#totalBytes };
  }

  /** @throws EverholdError why the folder holds what it held: the link, the live or the disk failed, or it was closed */
  async run(): Promise<void> {
    const { links, live } = this.#parts;
    this.#listenOn();
    links.follow(live);
    try {
      await this.#ended.promise;
      await this.#writing;
      await this.#target?.complete();
    } finally {
      this.close();
      // Whatever is being opened or written ends first.
      await this.#writing.catch(() => undefined);
      await this.#target?.abandon();
    }
  }

  /** Gives up, unless everything is there. */
  close(): void {
    this.#fail(new EverholdError("EVH_CLOSED", "the fill was given up"));
    this.#isOver = true;
    this.#silence?.cancel();
    this.#pieces.close();
    this.#parts.links.follow(null);
    if (this.#link !== undefined) this.#parts.links.disconnect(this.#link);
  }

  onConnected(link: number, id: string, outgoing: boolean): void {
    const { links, live, epoch } = this.#parts;
    if (this.#isOver || !outgoing || id !== live) return links.disconnect(link);
    this.#link = link;
    this.#listenOn();
    links.send(link, { kind: "fillAsk", epoch });
  }

  onFrame(link: number, frame: Frame): void {
    if (link !== this.#link || this.#isOver) return this.#parts.links.disconnect(link);
    if (frame.epoch < this.#parts.epoch) return this.#lose(`it speaks for epoch ${frame.epoch}`);
    this.#listenOn();
    if (frame.kind === "fillOffer") return this.#begin(frame);
    if (frame.kind === "fillData") return this.#take(frame);
    if (frame.kind === "pieceAsk") return this.#pieces.onFrame(link, frame);
    return this.#lose(`it sent a frame ${frame.kind}`);
  }

  onDrained(_link: number): void {
    // Only small frames are sent.
  }

  onDisconnected(link: number): void {
    if (link === this.#link) this.#lose("the link ended");
  }

  onUnreachable(id: string, why: "refused" | "silent"): void {
    if (id === this.#parts.live) this.#lose(`it cannot be reached: ${why}`);
  }

  #begin(offer: Frame<"fillOffer">): void {
    if (this.#offer !== undefined) return this.#lose("it offered twice");
    this.#offer = offer;
    this.#totalBytes = offer.files.reduce((sum, { bytes }) => sum + bytes, 0);
    const { log, monotonicClock } = this.#parts.ports;
    this.#toldMs = monotonicClock.nowMs();
    log.info("This member is filled up with what its live has", {
      live: this.#parts.live,
      files: offer.files.length,
      bytes: this.#totalBytes,
    });
    this.#afterwards(async () => {
      this.#target = await this.#parts.open(offer);
      this.#ask();
    });
  }

  /** Asks for what comes next, a few pieces ahead of what is stored. */
  #ask(): void {
    const { links, epoch } = this.#parts;
    const files = this.#offer?.files ?? [];
    while (!this.#isOver && this.#asksOpen < limits.fillReadsMax) {
      const { file, position } = this.#asked;
      const one = files[file];
      if (one === undefined || this.#link === undefined) break;
      this.#asksOpen += 1;
      links.send(this.#link, { kind: "fillRead", epoch, file, position });
      this.#asked = after(this.#asked, groupLimits.fillBytesMax, one.bytes);
    }
    if (this.#expected.file === files.length && this.#asksOpen === 0)
      this.#ended.resolve(undefined);
  }

  #take({ file, position, checksum, bytes }: Frame<"fillData">): void {
    const { hash } = this.#parts.ports;
    const expected = this.#expected;
    const size = this.#offer?.files[file]?.bytes ?? 0;
    const count = Math.min(groupLimits.fillBytesMax, size - position);
    const isNext = file === expected.file && position === expected.position;
    if (!isNext || this.#asksOpen === 0 || bytes.length !== count) {
      return this.#lose(`it sent ${bytes.length} bytes of file ${file} at ${position}`);
    }
    if (hash.crc32(bytes, 0) !== checksum) {
      return this.#lose(`file ${file} is damaged on its way, at byte ${position}`);
    }
    this.#expected = after(expected, count, size);
    // The frame's bytes are valid during the call only.
    const own = bytes.slice();
    this.#afterwards(async () => {
      await this.#target?.write(own);
      this.#doneBytes += own.length;
      this.#asksOpen -= 1;
      this.#tell();
      this.#ask();
    });
  }

  /** Says now and then how far it is. */
  #tell(): void {
    const { log, monotonicClock } = this.#parts.ports;
    const nowMs = monotonicClock.nowMs();
    if (nowMs - this.#toldMs < limits.fillTellMs) return;
    this.#toldMs = nowMs;
    log.info("This member is being filled up", this.progress);
  }

  /** One after the other; a failure ends all of it. */
  #afterwards(work: () => Promise<void>): void {
    this.#writing = this.#writing.then(work);
    this.#writing.catch((error: unknown) => this.#fail(error));
  }

  /** Gives up when nothing comes for long. */
  #listenOn(): void {
    this.#silence?.cancel();
    this.#silence = this.#parts.ports.timers.after(limits.fillSilentMs, () =>
      this.#lose(`nothing came for ${limits.fillSilentMs} ms`),
    );
  }

  #lose(reason: string): void {
    const { live } = this.#parts;
    this.#fail(
      new ProtocolError("EVH_PROTOCOL", `${live} does not fill this member up: ${reason}`),
    );
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#ended.reject(error);
  }
}

interface Place {
  readonly file: number;
  readonly position: number;
}

function after({ file, position }: Place, count: number, size: number): Place {
  const next = position + count;
  return next >= size ? { file: file + 1, position: 0 } : { file, position: next };
}
