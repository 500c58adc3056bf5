import { ProtocolError } from "@everhold/base";
import { i64At } from "@everhold/wire";

/**
 * What the length in front of a message's body has added to it: the 13 bytes of a frame's header.
 * See `MSG` in PROTOCOL.md.
 */
export const bodyLengthOffset = 13;

/** The id that the broker gave to `MSG`, which is behind its body. @throws ProtocolError */
export function messageIdAt(view: DataView, start: number, end: number): number {
  const offset = end - start < 4 ? -1 : start + 4 + view.getInt32(start) - bodyLengthOffset;
  if (offset < start + 4 || offset + 8 > end) {
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `Cannot read a message: found a body that does not fit its ${end - start} bytes`,
    );
  }
  return i64At(view, offset);
}
