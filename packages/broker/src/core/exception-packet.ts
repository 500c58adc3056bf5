import { coreCodeOf, type EverholdError } from "@everhold/base";
import { type packets, type PacketOf } from "@everhold/wire";

import { limits } from "../limits.ts";

/**
 * The EXCEPTION that tells a client of an error. Messages quote what clients sent, which may be longer
 * than the packet's text may be: what is too long is cut.
 */
export function exceptionOf(
  error: EverholdError,
  correlationId: number,
): PacketOf<typeof packets.exception> {
  const { code, message } = error;
  const isLong = message.length > limits.errorCharsMax;
  return {
    code: coreCodeOf(code),
    message: isLong ? `${message.slice(0, limits.errorCharsMax)} …` : message,
    correlationId,
  };
}
