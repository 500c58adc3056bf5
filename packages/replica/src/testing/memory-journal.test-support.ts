import { createHash } from "node:crypto";
import type { DiskSilence } from "@everhold/env";
import type { EpochStart, NodeVersion } from "@everhold/group";
import type {
  JournalPin,
  MemberJournal,
  MemberJournalListener,
  Piece,
} from "../driver/member-journal.ts";

/** One batch: of which epoch, and what. */
export interface Entry {
  readonly epoch: number;
  readonly text: string;
  /** Whether it begins its epoch. */
  readonly begins: boolean;
}

const entryBytes = 8;

/** What a machine keeps: entries, and how many of them and which promise are on stable storage. */
export class MemoryDisk {
  readonly entries: Entry[] = [];
  durableCount = 0;
  promisedEpoch = 0;
  commitPosition = 0;
  seenNode: NodeVersion | null = null;
  /** Set while it answers nothing: the clock of its machine. */
  #hungClock: (() => number) | undefined;
  /** What it has not answered, and since when. */
  readonly #held: { readonly sinceMs: number; readonly end: () => void }[] = [];

  /** For how long it has not answered, to the one who is told. */
  get silence(): DiskSilence | undefined {
    const [oldest] = this.#held;
    if (oldest === undefined || this.#hungClock === undefined) return undefined;
    return { attempted: "write the log", silentMs: this.#hungClock() - oldest.sinceMs };
  }

  /** It answers nothing any more. */
  hang(clock: () => number): void {
    this.#hungClock = clock;
  }

  /** It answers again, and first what it did not. */
  wake(): void {
    this.#hungClock = undefined;
    for (const { end } of this.#held.splice(0)) end();
  }

  /** The process is gone that has asked. */
  forget(): void {
    this.#held.length = 0;
  }

  /** Ends an operation, or keeps its end until it answers again. */
  answer(end: () => void): void {
    if (this.#hungClock === undefined) end();
    else this.#held.push({ sinceMs: this.#hungClock(), end });
  }

  /** The machine loses what was not synced. */
  crash(): void {
    this.entries.length = this.durableCount;
  }
}

/** A journal in memory: syncs end later, one after the other; each entry is eight bytes long. */
export class MemoryJournal implements MemberJournal {
  supplier: MemberJournal["supplier"] = undefined;
  readonly log: MemberJournal["log"];
  readonly committed: Entry[] = [];
  readonly pins = new Set<JournalPin>();
  listener: MemberJournalListener | undefined;
  /** What lies before it can't be had any more. */
  oldestPosition = 0;

  get keptFrom(): number {
    return this.oldestPosition;
  }

  /** Chains that have to be looked up, as behind a restart. */
  readonly #found = new Set<number>();
  readonly #disk: MemoryDisk;
  readonly #later: (step: () => void) => void;
  #isSyncing = false;
  #isClosed = false;
  #epoch = 0;

  constructor(disk: MemoryDisk, later: (step: () => void) => void) {
    this.#disk = disk;
    this.#later = later;
    const entries = (): readonly Entry[] => disk.entries;
    const found = this.#found;
    this.log = {
      get end() {
        return entries().length * entryBytes;
      },
      get durable() {
        return disk.durableCount * entryBytes;
      },
      get epochs(): EpochStart[] {
        return entries().flatMap(({ epoch, begins }, index) =>
          begins ? [{ epoch, position: index * entryBytes }] : [],
        );
      },
      chainAt: (position) => {
        const isNear = position >= (entries().length - 2) * entryBytes;
        return isNear || found.has(position) ? chainOf(entries(), position) : null;
      },
    };
  }

  get seenNode(): NodeVersion | null {
    return this.#disk.seenNode;
  }

  rememberNode({ created, version }: NodeVersion): Promise<void> {
    return this.#soon(() => {
      this.#disk.seenNode = { created, version };
    });
  }

  openFill(): Promise<never> {
    throw new Error("a journal in memory has no files");
  }

  findChain(position: number): Promise<void> {
    return new Promise((resolve) => {
      this.#later(() => {
        this.#found.add(position);
        resolve();
      });
    });
  }

  /** The live's own write. */
  write(text: string): void {
    this.#push({ epoch: this.#epoch, text, begins: false });
    this.#sync();
  }

  append({ position, end, bytes }: Pick<Piece, "position" | "end" | "bytes">): void {
    if (position !== this.log.end || end !== position + entryBytes) {
      throw new Error(`appended from ${position} to ${end} behind ${this.log.end}`);
    }
    const entry: Entry = JSON.parse(new TextDecoder().decode(bytes));
    if (entry.epoch < (this.#disk.entries.at(-1)?.epoch ?? 0)) throw new Error("an older epoch");
    this.#push(entry);
    this.#sync();
  }

  truncate(position: number): Promise<void> {
    if (position < this.#disk.commitPosition) throw new Error("cut below what is committed");
    return this.#soon(() => {
      this.#disk.entries.length = position / entryBytes;
      this.#disk.durableCount = Math.min(this.#disk.durableCount, this.#disk.entries.length);
      this.#found.clear();
    });
  }

  fence(epoch: number): Promise<void> {
    return this.#soon(() => {
      this.#disk.promisedEpoch = Math.max(this.#disk.promisedEpoch, epoch);
    });
  }

  beginEpoch(epoch: number): void {
    this.#epoch = epoch;
    this.#push({ epoch, text: "", begins: true });
    this.#sync();
  }

  setCommitted(position: number): void {
    if (position > this.log.end) throw new Error("committed beyond the end");
    this.#disk.commitPosition = Math.max(position, this.#disk.commitPosition);
    const { entries } = this.#disk;
    while (this.committed.length * entryBytes < position) {
      const entry = entries[this.committed.length];
      if (entry === undefined) throw new Error("committed what is not there");
      this.committed.push(entry);
    }
  }

  pieceAt(position: number): Piece | "on disk" | null {
    const entry = this.#disk.entries[position / entryBytes];
    if (entry === undefined) return null;
    const chain = this.log.chainAt(position);
    if (chain === null) return "on disk";
    const bytes = new TextEncoder().encode(JSON.stringify(entry));
    return { position, end: position + entryBytes, chain, bytes };
  }

  loadPiece(position: number): Promise<void> {
    return this.findChain(position);
  }

  async readPiece(position: number): Promise<Piece | null> {
    await this.findChain(position);
    const piece = this.pieceAt(position);
    return piece === "on disk" ? null : piece;
  }

  pin(): JournalPin {
    const pin: JournalPin = { move: () => undefined, release: () => void this.pins.delete(pin) };
    this.pins.add(pin);
    return pin;
  }

  close(): void {
    this.#isClosed = true;
  }

  #push(entry: Entry): void {
    if (this.#isClosed) throw new Error("written after it was closed");
    this.#disk.entries.push(entry);
    this.#later(() => {
      if (!this.#isClosed) this.listener?.onMore();
    });
  }

  #sync(): void {
    if (this.#isSyncing) return;
    this.#isSyncing = true;
    const { length } = this.#disk.entries;
    this.#laterOnDisk(() => {
      this.#isSyncing = false;
      if (this.#isClosed) return;
      this.#disk.durableCount = Math.min(length, this.#disk.entries.length);
      this.listener?.onDurable();
      if (this.#disk.entries.length > this.#disk.durableCount) this.#sync();
    });
  }

  #soon(work: () => void): Promise<void> {
    return new Promise((resolve) => {
      this.#laterOnDisk(() => {
        if (this.#isClosed) return;
        work();
        resolve();
      });
    });
  }

  #laterOnDisk(end: () => void): void {
    this.#later(() => this.#disk.answer(end));
  }
}

/** The chain value before `position`; null where no entry ends. */
export function chainOf(entries: readonly Entry[], position: number): string | null {
  const count = position / entryBytes;
  if (!Number.isInteger(count) || count > entries.length) return null;
  const hash = createHash("sha256").update(JSON.stringify(entries.slice(0, count)));
  return hash.digest("hex").slice(0, 16);
}
