import { EverholdError } from "@everhold/base";
import type { LoginVerdict } from "@everhold/env";

/** What somebody is told who may not come in. It does not say whether there is a user of that name. */
export function loginRefusal(verdict: Exclude<LoginVerdict, "welcome">): EverholdError {
  if (verdict === "refused") {
    return new EverholdError("EVH_SECURITY", "the user name or the password is wrong");
  }
  return new EverholdError(
    "EVH_NOT_READY",
    "cannot check the password now, for too many others wait to be checked; try again",
  );
}
