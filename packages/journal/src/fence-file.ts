import { EverholdError } from "@everhold/base";
import { readFully, writeFully } from "./disk-io.ts";
import { fenceName, temporaryFenceName } from "./file-names.ts";
import type { JournalPorts } from "./journal-api.ts";
import { groupName, sameBytes } from "./journal-folder.ts";
import { fence as fields, fenceBytes, fenceMagic, formatVersion } from "./journal-format.ts";
import { getU64, setU64, viewOf } from "./u64.ts";

/** What a fence needs of the world. */
type FencePorts = Pick<JournalPorts, "disk" | "hash" | "random">;

/** What a group's member has promised, and what its disk is called. On stable storage whenever it is told. */
export interface Fence {
  /**
   * 32 hex digits that name this folder's contents, made with the file. A folder whose file was lost has another
   * one, so that nobody counts on what it may have lost with it.
   */
  readonly incarnation: string;
  /** Nothing of a lower epoch is appended; 0 at first. */
  readonly promisedEpoch: number;
  /** Everything before it is committed: a hint, which may be late. */
  readonly commitPosition: number;
  /**
   * Makes a higher promise durable, and with it how far the log is committed. Neither ever falls: what is lower
   * than before changes nothing. Calls are carried out one after the other.
   * @throws EverholdError EVH_PROTOCOL for an epoch that the journal's format has no room for; EVH_IO,
   * EVH_DISK_FULL: then the promise may be on the disk or not, and what is told is the old one
   */
  promise(epoch: number, commitPosition: number): Promise<void>;
}

/**
 * Opens the fence of a folder, or makes one: a journal that was never in a group has none. The caller holds the
 * folder's lock.
 * @param groupId 16 bytes, the journal's
 * @throws EverholdError EVH_DATA_CORRUPT for a damaged file; EVH_DATA_FORMAT for another group's, a newer one, or
 * one that is not ours; EVH_IO, EVH_DISK_FULL
 */
export async function openFence(ports: FencePorts, groupId: Uint8Array): Promise<Fence> {
  const names = await ports.disk.list();
  // It was never given its name, so nobody was told of it.
  if (names.includes(temporaryFenceName)) await ports.disk.remove(temporaryFenceName);
  if (names.includes(fenceName)) {
    return new FileFence(ports, groupId.slice(), await readFence(ports, groupId));
  }
  const incarnation = new Uint8Array(fields.incarnation.bytes);
  ports.random.fill(incarnation);
  const values = { incarnation, promisedEpoch: 0, commitPosition: 0 };
  await writeFence(ports, groupId, values);
  return new FileFence(ports, groupId.slice(), values);
}

interface FenceValues {
  readonly incarnation: Uint8Array;
  readonly promisedEpoch: number;
  readonly commitPosition: number;
}

const epochMax = 0xffff_ffff;

class FileFence implements Fence {
  readonly incarnation: string;
  readonly #ports: FencePorts;
  readonly #groupId: Uint8Array;
  #values: FenceValues;
  /** Settles when the last change that was asked for has ended, well or not. */
  #changes: Promise<void> = Promise.resolve();

  constructor(ports: FencePorts, groupId: Uint8Array, values: FenceValues) {
    this.#ports = ports;
    this.#groupId = groupId;
    this.#values = values;
    this.incarnation = groupName(values.incarnation);
  }

  get promisedEpoch(): number {
    return this.#values.promisedEpoch;
  }

  get commitPosition(): number {
    return this.#values.commitPosition;
  }

  promise(epoch: number, commitPosition: number): Promise<void> {
    if (!Number.isSafeInteger(epoch) || epoch < 0 || epoch > epochMax) {
      const allowed = `an integer from 0 to ${epochMax}`;
      const found = `cannot promise epoch ${epoch}: expected ${allowed}`;
      return Promise.reject(new EverholdError("EVH_PROTOCOL", found));
    }
    const change = this.#changes.then(() => this.#raise(epoch, commitPosition));
    // The caller hears of a failure; the next change is tried all the same.
    this.#changes = change.catch(() => undefined);
    return change;
  }

  async #raise(epoch: number, commitPosition: number): Promise<void> {
    const before = this.#values;
    // The position alone is a hint, and not worth a write.
    if (epoch <= before.promisedEpoch) return;
    const values = {
      incarnation: before.incarnation,
      promisedEpoch: epoch,
      commitPosition: Math.max(commitPosition, before.commitPosition),
    };
    await writeFence(this.#ports, this.#groupId, values);
    this.#values = values;
  }
}

/** Replaces the file as a whole: a crash leaves the old one or the new one. */
async function writeFence(
  { disk, hash }: FencePorts,
  groupId: Uint8Array,
  values: FenceValues,
): Promise<void> {
  const bytes = new Uint8Array(fenceBytes);
  const view = viewOf(bytes);
  view.setUint32(fields.magic.at, fenceMagic[0]);
  view.setUint32(fields.magic.at + 4, fenceMagic[1]);
  view.setUint32(fields.version.at, formatVersion);
  view.setUint32(fields.promisedEpoch.at, values.promisedEpoch);
  bytes.set(groupId, fields.groupId.at);
  bytes.set(values.incarnation, fields.incarnation.at);
  setU64(view, fields.commitPosition.at, values.commitPosition);
  view.setUint32(fields.crc.at, hash.crc32(bytes.subarray(0, fields.crc.at), 0));
  // An earlier attempt may have failed half-way.
  const names = await disk.list();
  if (names.includes(temporaryFenceName)) await disk.remove(temporaryFenceName);
  const file = await disk.create(temporaryFenceName);
  try {
    await writeFully(file, bytes, 0);
  } finally {
    await file.close();
  }
  await disk.rename(temporaryFenceName, fenceName);
}

async function readFence({ disk, hash }: FencePorts, groupId: Uint8Array): Promise<FenceValues> {
  // One byte more, so that a file that is too long is seen.
  const block = new Uint8Array(fenceBytes + 1);
  const file = await disk.open(fenceName);
  let count = 0;
  try {
    count = await readFully(file, block, 0);
  } finally {
    await file.close();
  }
  if (count !== fenceBytes) {
    const found = count > fenceBytes ? "more" : `${count}`;
    throw corrupt(`found ${found} bytes, expected ${fenceBytes}`);
  }
  const view = viewOf(block);
  const isOurs =
    view.getUint32(fields.magic.at) === fenceMagic[0] &&
    view.getUint32(fields.magic.at + 4) === fenceMagic[1];
  if (!isOurs) throw foreign("it does not begin as a fence of Everhold does");
  const version = view.getUint32(fields.version.at);
  if (version > formatVersion) {
    throw foreign(`found format version ${version}, this program knows up to ${formatVersion}`);
  }
  const crc = hash.crc32(block.subarray(0, fields.crc.at), 0);
  if (crc !== view.getUint32(fields.crc.at)) throw corrupt("its checksum does not match");
  if (version !== formatVersion)
    throw foreign(`found version ${version}, expected ${formatVersion}`);
  const foundGroup = block.slice(fields.groupId.at, fields.groupId.at + fields.groupId.bytes);
  if (!sameBytes(foundGroup, groupId)) {
    throw foreign(`it is of group ${groupName(foundGroup)}, expected ${groupName(groupId)}`);
  }
  const commitPosition = getU64(view, fields.commitPosition.at);
  if (!Number.isSafeInteger(commitPosition)) throw corrupt("its commit position is too large");
  const { at, bytes } = fields.incarnation;
  const promisedEpoch = view.getUint32(fields.promisedEpoch.at);
  return { incarnation: block.slice(at, at + bytes), promisedEpoch, commitPosition };
}

function corrupt(found: string): EverholdError {
  return new EverholdError(
    "EVH_DATA_CORRUPT",
    `cannot open ${fenceName}: ${found}; without it this member's promises are not known: wipe the data folder ` +
      "and let it be filled by the group",
  );
}

function foreign(found: string): EverholdError {
  return new EverholdError("EVH_DATA_FORMAT", `cannot open ${fenceName}: ${found}`);
}
