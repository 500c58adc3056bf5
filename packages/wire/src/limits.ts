const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;

/**
 * Every limit of this package: value, unit (in the name), why, and what happens when it is hit.
 * `docs/LIMITS.md` is generated from {@link limitNotes}.
 */
export const limits = {
  frameBytesMax: 16 * mebibyte,
  nameCharactersMax: 4096,
  askedNameCharactersMax: 128 * kibibyte,
  filterCharactersMax: 64 * kibibyte,
  textCharactersMax: 64 * kibibyte,
  metadataCharactersMax: 64 * kibibyte,
  parameterCountMax: 256,
  routingTypeCountMax: 16,
  queueNameCountMax: 1_000_000,
  valueBytesMax: 512 * mebibyte,
  propertyCountMax: 65_536,
  streamValueCountMax: 1_000_000,
  xidPartBytesMax: 64,
  xidCountMax: 1_000_000,
  resumeSettlementsMax: 10_000,
  writerBytesInitial: 256,
  internedCharactersMax: 48,
  internedNameCount: 1024,
  carryBytesPooled: 4 * kibibyte,
  carryBufferCount: 64,
} as const;

/** Why each limit is what it is, and what happens when it is hit. */
export const limitNotes: Readonly<Record<keyof typeof limits, { reason: string; hit: string }>> = {
  frameBytesMax: {
    reason:
      "The default for a frame's whole size: a client may send messages up to its own minLargeMessageSize in one frame, 100 KiB unless configured",
    hit: "EVH_FRAME_TOO_LARGE; the connection ends",
  },
  nameCharactersMax: {
    reason:
      "Addresses, queue names, user names and ids are kept in memory for as long as they live",
    hit: "EVH_FRAME_TOO_LARGE; the connection ends",
  },
  askedNameCharactersMax: {
    reason:
      "Names of addresses and queues that are only asked for: one that is too long is refused by the broker with its code, and a client that sends it again does not lose its connection each time",
    hit: "EVH_FRAME_TOO_LARGE; the connection ends",
  },
  filterCharactersMax: {
    reason: "A selector is parsed and kept for as long as its consumer or queue lives",
    hit: "EVH_FRAME_TOO_LARGE; the connection ends",
  },
  textCharactersMax: {
    reason: "Error texts and connector parameters are for people; nobody reads more",
    hit: "EVH_FRAME_TOO_LARGE; the connection ends",
  },
  metadataCharactersMax: {
    reason: "Metadata of a session is kept for as long as the session lives",
    hit: "EVH_FRAME_TOO_LARGE; the connection ends",
  },
  parameterCountMax: {
    reason: "A connector has some dozens of parameters",
    hit: "EVH_FRAME_TOO_LARGE; the connection ends",
  },
  routingTypeCountMax: {
    reason: "There are two routing types; a peer may repeat them",
    hit: "EVH_FRAME_TOO_LARGE; the connection ends",
  },
  queueNameCountMax: {
    reason: "A binding query names every queue of an address",
    hit: "EVH_FRAME_TOO_LARGE; the connection ends",
  },
  valueBytesMax: {
    reason:
      "One value (a property, a text body, a part of a large message) is limited by its frame; this is the longest string that the platform can hold",
    hit: "EVH_FRAME_TOO_LARGE; the message is refused",
  },
  propertyCountMax: {
    reason:
      "Properties are decoded into a map; five bytes on the wire may become a hundred in memory",
    hit: "EVH_FRAME_TOO_LARGE; the message is refused",
  },
  streamValueCountMax: {
    reason: "Values of a stream message are decoded into an array",
    hit: "EVH_FRAME_TOO_LARGE; the body is refused",
  },
  xidPartBytesMax: {
    reason: "X/Open XA allows 64 bytes for each part of a transaction id",
    hit: "EVH_FRAME_TOO_LARGE; the connection ends",
  },
  xidCountMax: {
    reason: "A recovery scan names every transaction in doubt",
    hit: "EVH_FRAME_TOO_LARGE; the connection ends",
  },
  resumeSettlementsMax: {
    reason:
      "What one packet of a returning session settles; it is done in one step of the broker. Sessions with more send several packets",
    hit: "EVH_FRAME_TOO_LARGE; the connection ends",
  },
  writerBytesInitial: {
    reason: "The first size of a growing buffer: most packets are smaller",
    hit: "The buffer doubles",
  },
  internedCharactersMax: {
    reason: "Property names and addresses repeat in every message; long ones repeat less",
    hit: "The text is decoded anew each time",
  },
  internedNameCount: {
    reason: "Slots of the table of repeated texts; two texts of one slot take turns",
    hit: "The newer text replaces the older one",
  },
  carryBytesPooled: {
    reason: "Frames cut by the network are mostly small; a buffer from the pool costs nothing",
    hit: "The partial frame gets a buffer of its own until it is complete",
  },
  carryBufferCount: {
    reason: "Buffers that wait for the next partial frame, 256 KiB in all",
    hit: "A buffer that is given back is dropped",
  },
};
