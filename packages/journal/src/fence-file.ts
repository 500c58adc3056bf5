import { assert, EverholdError } from "@everhold/base";
import { readFully, writeFully } from "./disk-io.ts";
import { fenceName, temporaryFenceName } from "./file-names.ts";
import type { JournalPorts } from "./journal-api.ts";
import { groupName, sameBytes } from "./journal-folder.ts";
import {
  checksumCrc32,
  fence as fields,
  fenceBytes,
  fenceMagic,
  formatVersion,
} from "./journal-format.ts";
import { checkFormat, checkNotNewer } from "./segment-header.ts";
import { getU64, setU64, viewOf } from "./u64.ts";

/** What a member of a group keeps beside its log. */
export interface FenceValues {
  /** 16 bytes. */
  readonly groupId: Uint8Array;
  /**
   * 16 bytes that name this folder's contents, made with the file. A folder whose file was lost has others, so that
   * nobody counts on what it may have lost with it.
   */
  readonly incarnation: Uint8Array;
  /** No live of a lower epoch is followed; 0 at first. */
  readonly promisedEpoch: number;
  /** Everything before it is committed; it may be more. */
  readonly commitPosition: number;
  /** The log is being cut here; null when it is whole. */
  readonly cutPosition: number | null;
  /** The newest content of the group's node that was seen; null: none that is known of. */
  readonly seenNode: SeenNode | null;
}

/** One content of the group's node: a node that is older than this one was restored from a backup. */
export interface SeenNode {
  /** Which node: at most 48 characters of ASCII. */
  readonly created: string;
  /** It rises with every write. */
  readonly version: number;
}

/** What may change. Neither the promise nor the commit position ever falls. */
export type FenceChange = Partial<
  Pick<FenceValues, "promisedEpoch" | "commitPosition" | "cutPosition" | "seenNode">
>;

/** What a fence needs of the world. */
type FencePorts = Pick<JournalPorts, "disk" | "hash">;

/** The small file beside the segments, written anew as a whole: a crash leaves the old values or the new ones. */
export class FenceFile {
  readonly #ports: FencePorts;
  #values: FenceValues;
  /** Settles when the last change that was asked for has ended, well or not. */
  #changes: Promise<void> = Promise.resolve();

  private constructor(ports: FencePorts, values: FenceValues) {
    this.#ports = ports;
    this.#values = values;
  }

  /** Goes on with what {@link readFence} found. */
  static found(ports: FencePorts, values: FenceValues): FenceFile {
    return new FenceFile(ports, values);
  }

  /** Makes the file in a folder that has none. @throws EverholdError EVH_IO, EVH_DISK_FULL */
  static async make(ports: FencePorts, values: FenceValues): Promise<FenceFile> {
    await writeFence(ports, values);
    return new FenceFile(ports, values);
  }

  /** What is on stable storage. */
  get values(): FenceValues {
    return this.#values;
  }

  /**
   * Changes values durably. Calls are carried out one after the other, and one that changes nothing costs nothing.
   * @throws EverholdError EVH_IO, EVH_DISK_FULL: then the change may be on the disk or not, and what is told is the old
   */
  update(change: FenceChange): Promise<void> {
    const changed = this.#changes.then(() => this.#change(change));
    // The caller hears of a failure; the next change is tried all the same.
    this.#changes = changed.catch(() => undefined);
    return changed;
  }

  /** Settles when nothing of it is under way, whether it went well or not. */
  settled(): Promise<void> {
    return this.#changes;
  }

  async #change(change: FenceChange): Promise<void> {
    const before = this.#values;
    const { cutPosition = before.cutPosition, seenNode = before.seenNode } = change;
    const promisedEpoch = Math.max(before.promisedEpoch, change.promisedEpoch ?? 0);
    const commitPosition = Math.max(before.commitPosition, change.commitPosition ?? 0);
    const isSame =
      promisedEpoch === before.promisedEpoch &&
      commitPosition === before.commitPosition &&
      cutPosition === before.cutPosition &&
      seenNode?.created === before.seenNode?.created &&
      seenNode?.version === before.seenNode?.version;
    if (isSame) return;
    const values = { ...before, promisedEpoch, commitPosition, cutPosition, seenNode };
    await writeFence(this.#ports, values);
    this.#values = values;
  }
}

/**
 * Reads the fence of a folder; undefined where no member of a group has written there. The caller holds the folder's
 * lock.
 * @throws EverholdError EVH_DATA_CORRUPT for a damaged file; EVH_DATA_FORMAT for one that is newer; EVH_IO
 */
export async function readFence({ disk, hash }: FencePorts): Promise<FenceValues | undefined> {
  const names = await disk.list();
  if (!names.includes(fenceName)) return undefined;
  // One byte more, so that a file that is too long is seen.
  const bytes = new Uint8Array(fenceBytes + 1);
  const file = await disk.open(fenceName);
  try {
    const count = await readFully(file, bytes, 0);
    const version = viewOf(bytes).getUint32(fields.version.at);
    if (hasMagic(bytes)) checkNotNewer(fenceName, version);
    const found = count > fenceBytes ? "more" : `${count}`;
    if (count !== fenceBytes) throw corrupt(`found ${found} bytes, expected ${fenceBytes}`);
  } finally {
    await file.close();
  }
  return decodeFence(bytes, hash);
}

/** @throws EverholdError EVH_DATA_FORMAT where another group is expected */
export function checkFenceGroup(found: Uint8Array, expected: Uint8Array | undefined): void {
  if (expected === undefined || sameBytes(found, expected)) return;
  throw new EverholdError(
    "EVH_DATA_FORMAT",
    `cannot open ${fenceName}: it is of group ${groupName(found)}, expected ${groupName(expected)}`,
  );
}

async function writeFence({ disk, hash }: FencePorts, values: FenceValues): Promise<void> {
  // An earlier attempt may have failed half-way.
  const names = await disk.list();
  if (names.includes(temporaryFenceName)) await disk.remove(temporaryFenceName);
  const file = await disk.create(temporaryFenceName);
  try {
    await writeFully(file, encodeFence(values, hash), 0);
  } finally {
    await file.close();
  }
  await disk.rename(temporaryFenceName, fenceName);
}

/** The file's bytes. */
export function encodeFence(values: FenceValues, hash: JournalPorts["hash"]): Uint8Array {
  const bytes = new Uint8Array(fenceBytes);
  const view = viewOf(bytes);
  view.setUint32(fields.magic.at, fenceMagic[0]);
  view.setUint32(fields.magic.at + 4, fenceMagic[1]);
  view.setUint32(fields.version.at, formatVersion);
  view.setUint32(fields.checksum.at, checksumCrc32);
  bytes.set(values.groupId, fields.groupId.at);
  bytes.set(values.incarnation, fields.incarnation.at);
  view.setUint32(fields.promisedEpoch.at, values.promisedEpoch);
  view.setUint32(fields.isCutting.at, values.cutPosition === null ? 0 : 1);
  setU64(view, fields.commitPosition.at, values.commitPosition);
  setU64(view, fields.cutPosition.at, values.cutPosition ?? 0);
  const { created, version } = values.seenNode ?? { created: "", version: 0 };
  assert(created.length <= fields.seenNode.bytes, "the name of a group's node is short");
  setU64(view, fields.seenVersion.at, version);
  new TextEncoder().encodeInto(created, bytes.subarray(fields.seenNode.at));
  view.setUint32(fields.crc.at, hash.crc32(bytes.subarray(0, fields.crc.at), 0));
  return bytes;
}

function decodeFence(bytes: Uint8Array, hash: JournalPorts["hash"]): FenceValues {
  const view = viewOf(bytes);
  if (!hasMagic(bytes)) throw corrupt("it does not begin as a fence of Everhold does");
  const version = view.getUint32(fields.version.at);
  const crc = hash.crc32(bytes.subarray(0, fields.crc.at), 0);
  if (crc !== view.getUint32(fields.crc.at)) throw corrupt("its checksum does not match");
  checkFormat(fenceName, version, view.getUint32(fields.checksum.at));
  const isCutting = view.getUint32(fields.isCutting.at);
  const { groupId, incarnation } = fields;
  const values: FenceValues = {
    groupId: bytes.slice(groupId.at, groupId.at + groupId.bytes),
    incarnation: bytes.slice(incarnation.at, incarnation.at + incarnation.bytes),
    promisedEpoch: view.getUint32(fields.promisedEpoch.at),
    commitPosition: getU64(view, fields.commitPosition.at),
    cutPosition: isCutting === 0 ? null : getU64(view, fields.cutPosition.at),
    seenNode: seenNodeIn(bytes),
  };
  const { commitPosition, cutPosition } = values;
  const isSane =
    isCutting <= 1 &&
    Number.isSafeInteger(commitPosition) &&
    (cutPosition === null || (Number.isSafeInteger(cutPosition) && cutPosition >= commitPosition));
  if (!isSane) throw corrupt("its positions contradict each other");
  return values;
}

/** Versions of before know nothing of it, and leave zeros. */
function seenNodeIn(bytes: Uint8Array): SeenNode | null {
  const { at, bytes: length } = fields.seenNode;
  const created = new TextDecoder().decode(bytes.subarray(at, at + length)).replace(/\0+$/, "");
  if (created === "") return null;
  return { created, version: getU64(viewOf(bytes), fields.seenVersion.at) };
}

function hasMagic(bytes: Uint8Array): boolean {
  const view = viewOf(bytes);
  const { at } = fields.magic;
  return view.getUint32(at) === fenceMagic[0] && view.getUint32(at + 4) === fenceMagic[1];
}

function corrupt(found: string): EverholdError {
  return new EverholdError(
    "EVH_DATA_CORRUPT",
    `cannot open ${fenceName}: ${found}; without it this member's promises are not known: wipe the data folder ` +
      "and let it be filled by the group",
  );
}
