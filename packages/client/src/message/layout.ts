/**
 * What the length in front of a message's body has added to it: the 13 bytes of a frame's header.
 * See `MSG` in PROTOCOL.md.
 */
export const bodyLengthOffset = 13;
