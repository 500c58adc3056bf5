/** The limits of links between members. `docs/LIMITS.md` is generated from it. */
export const limits = {
  /** Characters of a member's name or a group's id. `EVH_CONFIG` above, or the connection is refused. */
  nameCharactersMax: 64,
  /** Bytes of a group's secret, at least. `EVH_CONFIG` below: what can be guessed is none. */
  secretBytesMin: 16,
  /** Bytes of a group's secret, at most. `EVH_CONFIG` above. */
  secretBytesMax: 1024,
  /** Bytes of one frame from somebody who has not proved who they are. The connection is refused above. */
  greetingBytesMax: 1024,
  /** Milliseconds that the other side has to prove who it is. Then the connection is refused. */
  greetingMsMax: 5_000,
  /** Accepted connections of which nobody knows yet who they are. Of more, the oldest is refused. */
  strangerCountMax: 32,
  /** Members that are linked because they called. More are refused. */
  callerCountMax: 64,
  /** Milliseconds that a refusal has to reach who is refused. Then the connection is cut. */
  farewellMsMax: 1_000,
  /** Milliseconds that an attempt to connect to a member may take. Then the member is told to be silent. */
  connectMsMax: 5_000,
  /** Milliseconds of the first pause between attempts to reach who is followed. */
  pauseMsMin: 100,
  /** Milliseconds between those attempts, at most. */
  pauseMsMax: 2_000,
  /** Milliseconds that a link must last for the next pause to be a first one again. */
  lastingMs: 1_000,
  /** Bytes of a frame, its length included: the largest piece of a journal, and what goes with it. The link is ended above. */
  frameBytesMax: 258 * 1024 * 1024,
  /** Bytes of small frames that leave together, within a turn. More leave at once. */
  gatheredBytesMax: 32 * 1024,
  /** Bytes that are given to the system at once. Larger frames go in parts, so that it is seen that they get on. */
  partBytesMax: 2 * 1024 * 1024,
  /** Bytes of buffers that a link keeps to use again. More are left to the garbage collector. */
  spareBytesMax: 8 * 1024 * 1024,
  /** Milliseconds that the system may take no part of what was sent. Then the link is ended, within twice that time. */
  stallMsMax: 10_000,
  /** Bytes queued on a link, at most. It is ended above: whoever sends did not heed `queuedBytes`. */
  queuedBytesMax: 512 * 1024 * 1024,
} as const;
