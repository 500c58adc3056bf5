/**
 * What the length in front of a message's body has added to it: the 13 bytes of a frame's header.
 * Source: core.md 4.1.
 */
export const bodyLengthOffset = 13;
