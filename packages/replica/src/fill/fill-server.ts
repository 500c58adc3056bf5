import type { Ports, Timer } from "@everhold/env";
import { groupLimits, type Frame } from "@everhold/group";
import type { FillSource, MemberJournal } from "../driver/member-journal.ts";
import { limits } from "../limits.ts";
import type { Links } from "../links.ts";

/** What a {@link FillServer} is made of. */
export interface FillServerParts {
  readonly ports: Pick<Ports, "timers" | "log" | "hash">;
  readonly journal: Pick<MemberJournal, "openFill">;
  readonly links: Pick<Links, "send" | "disconnect">;
}

/** One backup that is being filled. */
interface Filled {
  readonly source: Promise<FillSource>;
  /** One read after the other. */
  reading: Promise<void>;
}

/** A live's side of fills: hands out the files of its journal, as they are asked for, link by link. */
export class FillServer {
  readonly #parts: FillServerParts;
  readonly #filled = new Map<number, Filled>();
  /** What was sent and is kept a while longer. */
  readonly #held = new Map<FillSource, Timer>();
  #isOver = false;

  constructor(parts: FillServerParts) {
    this.#parts = parts;
  }

  /** A backup asks, of a live in this epoch. */
  onFrame(link: number, frame: Frame<"fillAsk" | "fillRead">, epoch: number): void {
    if (this.#isOver || frame.epoch > epoch) return this.#parts.links.disconnect(link);
    if (frame.kind === "fillAsk") return this.#offer(link, epoch);
    const filled = this.#filled.get(link);
    if (filled === undefined) return this.#parts.links.disconnect(link);
    filled.reading = filled.reading.then(() => this.#send(link, filled, frame, epoch));
  }

  /** The link is gone: what it was given is kept for a while, so that it can go on from there. */
  forget(link: number): void {
    const filled = this.#filled.get(link);
    if (filled === undefined) return;
    this.#filled.delete(link);
    filled.source.then(
      (source) => {
        if (this.#isOver) return this.#close(source);
        const { timers } = this.#parts.ports;
        this.#held.set(
          source,
          timers.after(limits.fillHoldMs, () => this.#close(source)),
        );
      },
      () => undefined,
    );
  }

  /** Gives everything back. */
  close(): void {
    this.#isOver = true;
    for (const link of this.#filled.keys()) this.forget(link);
    for (const source of this.#held.keys()) this.#close(source);
  }

  #offer(link: number, epoch: number): void {
    const { journal, links, ports } = this.#parts;
    if (this.#filled.has(link)) return links.disconnect(link);
    const filled: Filled = { source: journal.openFill(), reading: Promise.resolve() };
    this.#filled.set(link, filled);
    filled.source.then(
      ({ files, commitPosition }) => {
        if (this.#filled.get(link) !== filled) return;
        const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
        ports.log.info("A backup is filled up", { link, files: files.length, bytes });
        links.send(link, { kind: "fillOffer", epoch, commitPosition, files: [...files] });
      },
      (error: unknown) => this.#fail(link, error),
    );
  }

  async #send(
    link: number,
    filled: Filled,
    { file, position }: Frame<"fillRead">,
    epoch: number,
  ): Promise<void> {
    const { links, ports } = this.#parts;
    try {
      const source = await filled.source;
      if (this.#filled.get(link) !== filled) return;
      const into = new Uint8Array(groupLimits.fillBytesMax);
      const count = await source.read(file, position, into);
      if (this.#filled.get(link) !== filled) return;
      const bytes = into.subarray(0, count);
      const checksum = ports.hash.crc32(bytes, 0);
      links.send(link, { kind: "fillData", epoch, file, position, checksum, bytes });
    } catch (error) {
      this.#fail(link, error);
    }
  }

  #fail(link: number, error: unknown): void {
    if (!this.#filled.has(link) || this.#isOver) return;
    this.#parts.ports.log.error("A backup cannot be filled up: its link is ended", {
      link,
      problem: error instanceof Error ? error.message : String(error),
    });
    this.#parts.links.disconnect(link);
  }

  #close(source: FillSource): void {
    this.#held.get(source)?.cancel();
    this.#held.delete(source);
    // Files that do not close harm nobody.
    source.close().catch(() => undefined);
  }
}
