/**
 * The layout of every byte that the journal writes, as data. All integers are big-endian, u64 values
 * above 2^53 − 1 are refused. Codecs are in the files named beside each layout.
 */

/** One field: where, how long, and what it means. */
interface Field {
  readonly at: number;
  readonly bytes: number;
  readonly meaning: string;
}

/** Grows when older programs could not read what newer ones write; they refuse a larger one. */
export const formatVersion = 1;

/** CRC-32 of IEEE 802.3, the only checksum so far. */
export const checksumCrc32 = 1;

/** First eight bytes of a segment file: `EVHJRNL\n`. */
export const segmentMagic = [0x4556_484a, 0x524e_4c0a] as const;

/** First eight bytes of a snapshot file: `EVHSNAP\n`. */
export const snapshotMagic = [0x4556_4853, 0x4e41_500a] as const;

/** First eight bytes of a member's fence: `EVHFNCE\n`. */
export const fenceMagic = [0x4556_4846, 0x4e43_450a] as const;

/** First four bytes of a batch: `EVHB`. */
export const batchMagic = 0x4556_4842;

/** First four bytes of a snapshot section: `EVHS`. */
export const sectionMagic = 0x4556_4853;

/** The first 4096 bytes of a segment file (`segment-header.ts`); what is not listed is zero. */
export const segmentHeader = {
  magic: { at: 0, bytes: 8, meaning: "`EVHJRNL\\n`" },
  version: { at: 8, bytes: 4, meaning: "format version, 1" },
  headerBytes: { at: 12, bytes: 4, meaning: "4096, where the first batch begins" },
  groupId: { at: 16, bytes: 16, meaning: "the broker group, made once" },
  base: { at: 32, bytes: 8, meaning: "position of the file's first byte" },
  sizeBytes: { at: 40, bytes: 8, meaning: "positions that belong to the file" },
  epoch: { at: 48, bytes: 4, meaning: "reign in which it was made" },
  checksum: { at: 52, bytes: 4, meaning: "checksum algorithm, 1 = CRC-32 (IEEE 802.3)" },
  nonce: { at: 56, bytes: 8, meaning: "random; with the base it seeds every CRC of the file" },
  chain: { at: 64, bytes: 8, meaning: "chain value before the first batch" },
  previousEnd: { at: 72, bytes: 8, meaning: "position where the log in the segment before ends" },
  commitPosition: { at: 80, bytes: 8, meaning: "commit position when it was made" },
  wallClockMs: { at: 88, bytes: 8, meaning: "time of day when it was made" },
  crc: { at: 4092, bytes: 4, meaning: "CRC-32 of the 4092 bytes before" },
} as const satisfies Record<string, Field>;

/** The first 64 bytes of a batch (`batch-format.ts`). */
export const batchHeader = {
  magic: { at: 0, bytes: 4, meaning: "`EVHB`" },
  lengthBytes: {
    at: 4,
    bytes: 4,
    meaning: "whole batch, header and padding included; a multiple of 512",
  },
  crc: { at: 8, bytes: 4, meaning: "CRC-32 of the rest of the batch, seeded by the segment" },
  epoch: { at: 12, bytes: 4, meaning: "reign that wrote it" },
  position: { at: 16, bytes: 8, meaning: "position of the batch's first byte" },
  recordCount: { at: 24, bytes: 4, meaning: "records in it, 1 or more" },
  flags: { at: 28, bytes: 4, meaning: "0" },
  wallClockMs: { at: 32, bytes: 8, meaning: "time of day when it was sealed" },
  commitPosition: { at: 40, bytes: 8, meaning: "commit position when it was sealed" },
  chain: { at: 48, bytes: 8, meaning: "chain value over every batch before it" },
  recordsBytes: { at: 56, bytes: 4, meaning: "bytes of all its records; zeros follow" },
  reserved: { at: 60, bytes: 4, meaning: "0" },
} as const satisfies Record<string, Field>;

/** Size of {@link batchHeader}. */
export const batchHeaderBytes = 64;

/** The first 8 bytes of a record; payload and zeros up to a multiple of 8 follow. */
export const recordHeader = {
  length: { at: 0, bytes: 3, meaning: "whole record in units of 8 bytes" },
  type: { at: 3, bytes: 1, meaning: "0 … 15 the journal's, others the broker's" },
  reference: { at: 4, bytes: 4, meaning: "the broker's, such as a queue's id" },
} as const satisfies Record<string, Field>;

/** The journal's own record types. */
export const controlRecords = {
  pad: { type: 0, meaning: "never written, so that zeros are no record" },
  epoch: { type: 1, meaning: "a broker begins to write; reference = epoch" },
  snapshot: { type: 2, meaning: "reserved: a snapshot was completed" },
  relocation: { type: 3, meaning: "reserved: compaction moved a record" },
} as const satisfies Record<string, { readonly type: number; readonly meaning: string }>;

/** Payload of an epoch record (`journal.ts`). */
export const epochRecord = {
  commitPosition: { at: 0, bytes: 8, meaning: "commit position known at this start" },
  wallClockMs: { at: 8, bytes: 8, meaning: "time of day at this start" },
  version: { at: 16, bytes: 4, meaning: "format version of the program" },
  flags: { at: 20, bytes: 4, meaning: "1 = an operator took the loss of what others had; or 0" },
} as const satisfies Record<string, Field>;

/** Size of {@link epochRecord}. */
export const epochRecordBytes = 24;

/** The first 512 bytes of a snapshot file (`snapshot-format.ts`); what is not listed is zero. */
export const snapshotHeader = {
  magic: { at: 0, bytes: 8, meaning: "`EVHSNAP\\n`" },
  version: { at: 8, bytes: 4, meaning: "format version, 1" },
  headerBytes: { at: 12, bytes: 4, meaning: "512, where the first section begins" },
  groupId: { at: 16, bytes: 16, meaning: "the broker group" },
  replayStart: { at: 32, bytes: 8, meaning: "position of the first batch to replay after it" },
  chain: { at: 40, bytes: 8, meaning: "chain value before that batch" },
  nonce: {
    at: 48,
    bytes: 8,
    meaning: "random; with the replay start it seeds every CRC of the sections",
  },
  epoch: { at: 56, bytes: 4, meaning: "reign that wrote it" },
  checksum: { at: 60, bytes: 4, meaning: "checksum algorithm, 1 = CRC-32 (IEEE 802.3)" },
  wallClockMs: { at: 64, bytes: 8, meaning: "time of day when it was begun" },
  crc: { at: 508, bytes: 4, meaning: "CRC-32 of the 508 bytes before" },
} as const satisfies Record<string, Field>;

/** Size of {@link snapshotHeader}'s block. */
export const snapshotHeaderBytes = 512;

/** The first 32 bytes of a section; payload and zeros up to a multiple of 8 follow. */
export const sectionHeader = {
  magic: { at: 0, bytes: 4, meaning: "`EVHS`" },
  crc: { at: 4, bytes: 4, meaning: "CRC-32 of the rest of the section, seeded by the file" },
  kind: { at: 8, bytes: 4, meaning: "0 the footer, 65536 the epochs, others the broker's" },
  payloadBytes: { at: 12, bytes: 4, meaning: "payload without padding" },
  asOf: {
    at: 16,
    bytes: 8,
    meaning: "holds the effect of every record before this position, and of no other",
  },
  ordinal: { at: 24, bytes: 4, meaning: "sections before it" },
  reserved: { at: 28, bytes: 4, meaning: "0" },
} as const satisfies Record<string, Field>;

/** Size of {@link sectionHeader}. */
export const sectionHeaderBytes = 32;

/** Kind of the section in which a member of a group keeps where each epoch before the replay start begins. */
export const epochsKind = 0x1_0000;

/** One epoch in that section. */
export const snapshotEpoch = {
  epoch: { at: 0, bytes: 4, meaning: "the epoch" },
  position: { at: 4, bytes: 8, meaning: "where the log ended when it began" },
} as const satisfies Record<string, Field>;

/** Size of {@link snapshotEpoch}. */
export const snapshotEpochBytes = 12;

/** Kind of the last section of a snapshot. */
export const footerKind = 0;

/** Payload of the footer. A snapshot without one is not valid. */
export const snapshotFooter = {
  commitPosition: {
    at: 0,
    bytes: 8,
    meaning: "commit position when it was finished; not below any `asOf`",
  },
  sectionCount: { at: 8, bytes: 4, meaning: "sections before the footer" },
  reserved: { at: 12, bytes: 4, meaning: "0" },
} as const satisfies Record<string, Field>;

/** Size of {@link snapshotFooter}. */
export const snapshotFooterBytes = 16;

/** `member.fence`, what a member of a group keeps beside its log (`fence-file.ts`); what is not listed is zero. */
export const fence = {
  magic: { at: 0, bytes: 8, meaning: "`EVHFNCE\\n`" },
  version: { at: 8, bytes: 4, meaning: "format version, 1" },
  checksum: { at: 12, bytes: 4, meaning: "checksum algorithm, 1 = CRC-32 (IEEE 802.3)" },
  groupId: { at: 16, bytes: 16, meaning: "the broker group" },
  incarnation: { at: 32, bytes: 16, meaning: "random, made with the file" },
  promisedEpoch: { at: 48, bytes: 4, meaning: "no live of a lower epoch is followed" },
  isCutting: { at: 52, bytes: 4, meaning: "1 while the log is being cut, else 0" },
  commitPosition: {
    at: 56,
    bytes: 8,
    meaning: "everything before it is committed; it may be more",
  },
  cutPosition: { at: 64, bytes: 8, meaning: "where the log is being cut" },
  seenVersion: {
    at: 72,
    bytes: 8,
    meaning: "the newest version of the group's node that was seen",
  },
  seenNode: {
    at: 80,
    bytes: 48,
    meaning: "which node that was, in ASCII, padded with zeros; all zero: none",
  },
  crc: { at: 508, bytes: 4, meaning: "CRC-32 of the 508 bytes before" },
} as const satisfies Record<string, Field>;

/** Size of {@link fence}'s block. */
export const fenceBytes = 512;

/** Every layout with its title, in the order of the document. */
export const layouts = [
  { title: "Segment header", totalBytes: 4096, fields: segmentHeader },
  { title: "Batch header", totalBytes: batchHeaderBytes, fields: batchHeader },
  { title: "Record header", totalBytes: 8, fields: recordHeader },
  { title: "Epoch record, payload", totalBytes: epochRecordBytes, fields: epochRecord },
  { title: "Snapshot header", totalBytes: snapshotHeaderBytes, fields: snapshotHeader },
  { title: "Snapshot section header", totalBytes: sectionHeaderBytes, fields: sectionHeader },
  { title: "Epoch in a snapshot", totalBytes: snapshotEpochBytes, fields: snapshotEpoch },
  { title: "Snapshot footer, payload", totalBytes: snapshotFooterBytes, fields: snapshotFooter },
  { title: "Fence of a group's member", totalBytes: fenceBytes, fields: fence },
] as const satisfies readonly Layout[];

interface Layout {
  readonly title: string;
  readonly totalBytes: number;
  readonly fields: Readonly<Record<string, Field>>;
}

/** The format as a page of Markdown, for `docs/`. */
export function journalFormatDocument(): string {
  const lines = [
    "# Journal format",
    "",
    `Version ${formatVersion}. All integers are big-endian; u64 values above 2^53 − 1 are refused.`,
    "A segment is named `<base position, 16 hex digits>.journal`, a snapshot `snapshot-<replay start,",
    "16 hex digits>.index`. The seed of a CRC is the CRC-32 of the file's nonce followed by its base",
    "position (segments) or replay start (snapshots).",
  ];
  for (const { title, totalBytes, fields } of layouts) {
    lines.push(
      "",
      `## ${title} (${totalBytes} bytes)`,
      "",
      "| at | bytes | field | meaning |",
      "|---|---|---|---|",
    );
    for (const [name, { at, bytes, meaning }] of Object.entries<Field>(fields)) {
      lines.push(`| ${at} | ${bytes} | ${name} | ${meaning} |`);
    }
  }
  lines.push("", "## The journal's own records", "", "| type | name | meaning |", "|---|---|---|");
  for (const [name, { type, meaning }] of Object.entries(controlRecords)) {
    lines.push(`| ${type} | ${name} | ${meaning} |`);
  }
  return `${lines.join("\n")}\n`;
}
