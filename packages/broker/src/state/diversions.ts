import { ByteReader, ByteWriter, list, string, struct, u32 } from "@everhold/wire";
import { stateLimits } from "./state-limits.ts";

/** Targets from the index `from` on came by the divert that `origin` names; none where it is empty. */
interface Diversion {
  readonly from: number;
  readonly origin: string;
}

const diversions = list(
  struct({ from: u32, origin: string(stateLimits.nameCharsMax) }),
  stateLimits.diversionsMax,
);

/**
 * Which targets of one message were found by way of a divert, and by which: ranges, for each divert leads to several
 * queues. Rows of such targets have that origin. Almost no message has any.
 */
export class Diversions {
  readonly #all: Diversion[] = [];
  /** The same by the indexes of those targets that the record names. */
  readonly #stored: Diversion[] = [];
  #encoded: Uint8Array | undefined;

  get isEmpty(): boolean {
    return this.#all.length === 0;
  }

  /** How many ranges there are; one record holds at most `stateLimits.diversionsMax`. */
  get count(): number {
    return this.#all.length;
  }

  clear(): void {
    if (this.#all.length === 0) return;
    this.#all.length = 0;
    this.#stored.length = 0;
    this.#encoded = undefined;
  }

  /** Targets from `index` on, of which `stored` before it are in the record, have this origin. */
  begin(index: number, stored: number, origin: string): void {
    if ((this.#all.at(-1)?.origin ?? "") === origin) return;
    this.#all.push({ from: index, origin });
    this.#stored.push({ from: stored, origin });
    this.#encoded = undefined;
  }

  /** Where the target of an index comes from; empty for no divert. */
  originOf(index: number): string {
    return originAt(this.#all, index);
  }

  /** As it stands in records: {@link readDiversions}. */
  encoded(): Uint8Array {
    if (this.#encoded === undefined) {
      const writer = new ByteWriter(256);
      diversions.write(writer, this.#stored, 0);
      this.#encoded = writer.toBytes();
    }
    return this.#encoded;
  }
}

/** What the origins of a record's targets are, by their indexes. */
export type OriginOf = (index: number) => string;

/** Reads what {@link Diversions.encoded} gave. @throws ProtocolError */
export function readDiversions(bytes: Uint8Array, start: number, end: number): OriginOf {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const reader = new ByteReader(undefined, { strict: true }).reset(bytes, view, start, end);
  const found = diversions.read(reader, 0);
  return (index) => originAt(found, index);
}

/** Ranges may be empty: of several that begin at one index the last one holds. */
function originAt(ranges: readonly Diversion[], index: number): string {
  let origin = "";
  for (const range of ranges) {
    if (range.from > index) break;
    origin = range.origin;
  }
  return origin;
}
