import { unsaidDelay } from "@everhold/wire";
import { limits } from "../limits.ts";

/** The delay in milliseconds; −1 for none said. @throws RangeError */
export function checkDelay(delay: number | undefined): number {
  if (delay === undefined) return unsaidDelay;
  if (Number.isInteger(delay) && delay >= 0 && delay <= limits.releaseDelayMsMax) return delay;
  throw new RangeError(
    `delay is ${delay}, expected a whole number from 0 to ${limits.releaseDelayMsMax}`,
  );
}

/** Stack traces are long; what matters of them stands at their beginning. @throws TypeError */
export function checkReason(reason: string | undefined): string | undefined {
  if (reason === undefined) return undefined;
  if (typeof reason === "string") return reason.slice(0, limits.rejectReasonCharsMax);
  throw new TypeError(`Cannot reject: found a reason of type ${typeof reason}, expected a string`);
}
