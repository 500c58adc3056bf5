import { EverholdError } from "@everhold/base";
import type { FoundNode, ExpectedNode, Verdict } from "../../api/expected-change.ts";
import { counterLimits } from "./counter-limits.ts";

/** The least and the largest number that a counter can hold: those of 64 bits. */
export const counterBounds = { min: -(2n ** 63n), max: 2n ** 63n - 1n } as const;

/** Who wrote a version of the node. */
export interface WrittenVersion {
  /** 64 random bits. */
  readonly writerId: bigint;
  /** Which version this writer wrote last. */
  readonly version: number;
}

/** What a counter's node says. */
export interface CounterData {
  readonly value: bigint;
  /** The last change of each writer, the newest first. */
  readonly written: readonly WrittenVersion[];
  /** From which version on `written` has every writer. */
  readonly completeFrom: number;
}

const valueBytes = 8;
const headBytes = valueBytes + 8;
const entryBytes = 12;
/** "evhc" */
const mark = 0x65766863;

/**
 * The bytes of a counter's node: its value as Curator's `DistributedAtomicLong` has it, 8 bytes, and behind it, where
 * Curator does not look, who wrote which version last.
 */
export function counterBytes({ value, written, completeFrom }: CounterData): Uint8Array {
  const bytes = new Uint8Array(headBytes + written.length * entryBytes);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, value);
  view.setUint32(valueBytes, mark);
  view.setInt32(valueBytes + 4, completeFrom);
  for (const [index, { writerId, version }] of written.entries()) {
    const start = headBytes + index * entryBytes;
    view.setBigUint64(start, writerId);
    view.setInt32(start + 8, version);
  }
  return bytes;
}

/**
 * What a node says, as Curator or this client left it. Nothing at all is 0, as in Curator.
 * @throws EverholdError EVH_NODE_FORMAT
 */
export function readCounter(path: string, { data, stat }: FoundNode): CounterData {
  const { version } = stat;
  if (data === null || data.length === 0) return { value: 0n, written: [], completeFrom: version };
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const tailBytes = data.length - headBytes;
  const isMarked = tailBytes >= entryBytes && tailBytes % entryBytes === 0;
  if (data.length !== valueBytes && !(isMarked && view.getUint32(valueBytes) === mark)) {
    throw new EverholdError(
      "EVH_NODE_FORMAT",
      `Cannot read the counter at ${path}: found ${data.length} bytes that are no counter's, expected ${valueBytes} ` +
        "as of Curator, or what this client writes",
    );
  }
  const value = view.getBigInt64(0);
  const written: WrittenVersion[] = [];
  for (let start = headBytes; start < data.length; start += entryBytes) {
    written.push({ writerId: view.getBigUint64(start), version: view.getInt32(start + 8) });
  }
  // Whoever else wrote this version: a copy of what was there before says who wrote that one.
  if (written[0]?.version !== version) return { value, written: [], completeFrom: version };
  return { value, written, completeFrom: view.getInt32(valueBytes + 4) };
}

/** What a writer puts in the place of `before`, the node's version `version`. */
export function nextCounter(
  before: CounterData,
  version: number,
  next: { readonly value: bigint; readonly writerId: bigint },
): CounterData {
  const { value, writerId } = next;
  const others = before.written.filter((one) => one.writerId !== writerId);
  const kept = others.slice(0, counterLimits.writerCountMax - 1);
  const forgotten = others[kept.length];
  return {
    value,
    written: [{ writerId, version: (version + 1) | 0 }, ...kept],
    completeFrom: forgotten === undefined ? before.completeFrom : (forgotten.version + 1) | 0,
  };
}

/**
 * What became of a change that this writer made to the `expected` version. It can have written the next version only,
 * and was waiting for the answer since: so that is its last one, or it wrote nothing.
 */
export function judgeCounter(
  expected: ExpectedNode,
  writerId: bigint,
  found: { readonly stat: ExpectedNode; readonly counter: CounterData } | undefined,
): Verdict {
  if (found === undefined || found.stat.czxid !== expected.czxid) return "unknowable";
  if (found.stat.version === expected.version) return "untouched";
  const { written, completeFrom } = found.counter;
  const wanted = (expected.version + 1) | 0;
  const isWritten = written.some((one) => one.writerId === writerId && one.version === wanted);
  if (isWritten) return "applied";
  // Versions go round after the largest, so they are compared by how far they are apart.
  return ((wanted - completeFrom) | 0) >= 0 ? "refused" : "unknowable";
}
