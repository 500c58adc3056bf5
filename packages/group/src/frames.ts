import { ProtocolError } from "@everhold/base";
import {
  ByteReader,
  type ByteWriter,
  type Field,
  blob,
  bytes,
  counter,
  list,
  readValue,
  string,
  struct,
  u32,
  u8,
  type ValueOf,
  writeValue,
} from "@everhold/wire";
import { limits } from "./limits.ts";

const name = string(limits.nameCharactersMax);
/** The journal's chain value: 64 bits over everything before a position. */
const chainBytes = 8;

/** The chain value in a frame: its 16 hex digits as 8 bytes. */
const chain: Field<string> = {
  shape: bytes(chainBytes).shape,
  write(writer, value) {
    if (!/^[0-9a-f]{16}$/.test(value)) {
      throw new RangeError(`cannot write chain: found ${value}, expected 16 hex digits`);
    }
    writer.u32(Number.parseInt(value.slice(0, 8), 16));
    writer.u32(Number.parseInt(value.slice(8), 16));
  },
  read: (reader) => hex(reader.u32()) + hex(reader.u32()),
};

const bodies = {
  /** Backup to live, once and first on its link: who I am, and what my journal holds. */
  hello: struct({
    epoch: u32,
    features: u32,
    groupId: name,
    id: name,
    incarnation: name,
    epochs: list(struct({ epoch: u32, position: counter }), limits.epochCountMax),
    end: counter,
  }),
  /** Live to backup, the answer: what lies beyond `position` goes; before it, this is the chain. */
  align: struct({
    epoch: u32,
    features: u32,
    position: counter,
    chain,
    commitPosition: counter,
  }),
  /**
   * Live to backup: a piece of the journal, from `position` up to `end`. A piece may hold the header of a segment besides
   * a batch, so its bytes need not be as many as lie between. `chain` is that of everything before `position`.
   */
  append: struct({
    epoch: u32,
    position: counter,
    end: counter,
    chain,
    commitPosition: counter,
    piece: blob(limits.pieceBytesMax),
  }),
  /** Backup to live: everything before `position` is on stable storage. */
  acknowledge: struct({ epoch: u32, position: counter }),
  /** Either way: I have promised `epoch`, or you are not who may speak to me. */
  refuse: struct({ epoch: u32, reason: string(limits.nameCharactersMax) }),
  /** Live to backup: I take nothing more and all is committed; promote yourself. */
  handOver: struct({ epoch: u32 }),
  /**
   * Live to backup, a sign of life: sent when the live's own clock said so. An answer lets the live hand out messages for
   * `leaseMs` from then on. It keeps nothing in front of `oldestPosition`.
   */
  beat: struct({
    epoch: u32,
    sentAtMs: counter,
    leaseMs: u32,
    commitPosition: counter,
    oldestPosition: counter,
  }),
  /** Backup to live, which it follows: what the beat said. */
  answer: struct({ epoch: u32, sentAtMs: counter }),
  /** Backup to live, which has refused it as too far behind: what is your journal made of? */
  fillAsk: struct({ epoch: u32 }),
  /** Live to backup: of these files, which stay as they are while this link lasts. */
  fillOffer: struct({
    epoch: u32,
    commitPosition: counter,
    files: list(struct({ name, bytes: counter }), limits.fillFileCountMax),
  }),
  /** Backup to live: what comes next of this file, by its place in the offer. */
  fillRead: struct({ epoch: u32, file: u32, position: counter }),
  /** Live to backup: that, with its CRC-32. */
  fillData: struct({
    epoch: u32,
    file: u32,
    position: counter,
    checksum: u32,
    bytes: blob(limits.fillBytesMax),
  }),
  /** Either way: what does your journal have at `position`? Mine is damaged there. */
  pieceAsk: struct({ epoch: u32, position: counter }),
  /** The answer, as `append` would have it; without bytes: nothing that is whole. */
  pieceGiven: struct({
    epoch: u32,
    position: counter,
    end: counter,
    piece: blob(limits.pieceBytesMax),
  }),
} as const;

type Bodies = { readonly [Kind in keyof typeof bodies]: ValueOf<(typeof bodies)[Kind]> };

/** A frame of a kind: `Frame<"append">`. Every frame says which epoch its sender speaks for. */
export type Frame<Kind extends keyof Bodies = keyof Bodies> = {
  readonly [K in Kind]: { readonly kind: K } & Bodies[K];
}[Kind];

/** The newest version of all frames, and so far the only one. */
const frameVersion = 1;

/** Appends a frame: its version, a byte that names the kind, its fields. @throws RangeError for a value that does not fit */
export function writeFrame(writer: ByteWriter, frame: Frame): void {
  writeValue(u8, writer, frameVersion);
  writeValue(u8, writer, kindNumbers[frame.kind]);
  switch (frame.kind) {
    case "hello":
      return writeValue(bodies.hello, writer, frame);
    case "align":
      return writeValue(bodies.align, writer, frame);
    case "append":
      return writeValue(bodies.append, writer, frame);
    case "acknowledge":
      return writeValue(bodies.acknowledge, writer, frame);
    case "refuse":
      return writeValue(bodies.refuse, writer, frame);
    case "handOver":
      return writeValue(bodies.handOver, writer, frame);
    case "beat":
      return writeValue(bodies.beat, writer, frame);
    case "answer":
      return writeValue(bodies.answer, writer, frame);
    case "fillAsk":
      return writeValue(bodies.fillAsk, writer, frame);
    case "fillOffer":
      return writeValue(bodies.fillOffer, writer, frame);
    case "fillRead":
      return writeValue(bodies.fillRead, writer, frame);
    case "fillData":
      return writeValue(bodies.fillData, writer, frame);
    case "pieceAsk":
      return writeValue(bodies.pieceAsk, writer, frame);
    case "pieceGiven":
      return writeValue(bodies.pieceGiven, writer, frame);
  }
}

/** Reads the frame that fills `input`; a piece shares its bytes. @throws ProtocolError EVH_PROTOCOL, EVH_FRAME_TOO_LARGE */
export function readFrame(input: Uint8Array): Frame {
  const reader = new ByteReader(input, { strict: true });
  const version = u8.read(reader, 0);
  if (version !== frameVersion) throw refused(`version ${version}`, String(frameVersion));
  const kind = u8.read(reader, 0);
  switch (kind) {
    case kindNumbers.hello:
      return { kind: "hello", ...readValue(bodies.hello, reader, "frame") };
    case kindNumbers.align:
      return { kind: "align", ...readValue(bodies.align, reader, "frame") };
    case kindNumbers.append:
      return { kind: "append", ...readValue(bodies.append, reader, "frame") };
    case kindNumbers.acknowledge:
      return { kind: "acknowledge", ...readValue(bodies.acknowledge, reader, "frame") };
    case kindNumbers.refuse:
      return { kind: "refuse", ...readValue(bodies.refuse, reader, "frame") };
    case kindNumbers.handOver:
      return { kind: "handOver", ...readValue(bodies.handOver, reader, "frame") };
    case kindNumbers.beat:
      return { kind: "beat", ...readValue(bodies.beat, reader, "frame") };
    case kindNumbers.answer:
      return { kind: "answer", ...readValue(bodies.answer, reader, "frame") };
    case kindNumbers.fillAsk:
      return { kind: "fillAsk", ...readValue(bodies.fillAsk, reader, "frame") };
    case kindNumbers.fillOffer:
      return { kind: "fillOffer", ...readValue(bodies.fillOffer, reader, "frame") };
    case kindNumbers.fillRead:
      return { kind: "fillRead", ...readValue(bodies.fillRead, reader, "frame") };
    case kindNumbers.fillData:
      return { kind: "fillData", ...readValue(bodies.fillData, reader, "frame") };
    case kindNumbers.pieceAsk:
      return { kind: "pieceAsk", ...readValue(bodies.pieceAsk, reader, "frame") };
    case kindNumbers.pieceGiven:
      return { kind: "pieceGiven", ...readValue(bodies.pieceGiven, reader, "frame") };
    default:
      throw refused(`kind ${kind}`, "1 to 14");
  }
}

const kindNumbers = {
  hello: 1,
  align: 2,
  append: 3,
  acknowledge: 4,
  refuse: 5,
  handOver: 6,
  beat: 7,
  answer: 8,
  fillAsk: 9,
  fillOffer: 10,
  fillRead: 11,
  fillData: 12,
  pieceAsk: 13,
  pieceGiven: 14,
} as const;

function refused(found: string, expected: string): ProtocolError {
  return new ProtocolError(
    "EVH_PROTOCOL",
    `cannot read a replication frame: found ${found}, expected ${expected}`,
  );
}

function hex(half: number): string {
  return half.toString(16).padStart(8, "0");
}
