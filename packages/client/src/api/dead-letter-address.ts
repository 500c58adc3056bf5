import { EverholdError } from "@everhold/base";
import { limits } from "../limits.ts";
import type { Management } from "./management.ts";

/**
 * Where the broker's settings send dead letters of an address; `undefined` when they name no place, or when
 * the broker does not say, as where the user may not manage it.
 */
export async function readDeadLetterAddress(
  management: Management,
  address: string,
): Promise<string | undefined> {
  const wait = { timeout: limits.deadLetterAddressTimeoutMs };
  try {
    const found = await management.invoke("broker", "getAddressSettingsAsJSON", [address], wait);
    return nameIn(typeof found === "string" ? JSON.parse(found) : found);
  } catch (error) {
    if (EverholdError.is(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** `DLA` is what older Artemis calls it. Source: Artemis, `AddressSettingsInfo`. */
function nameIn(settings: unknown): string | undefined {
  if (typeof settings !== "object" || settings === null) return undefined;
  const known: { readonly deadLetterAddress?: unknown; readonly DLA?: unknown } = settings;
  const name = known.deadLetterAddress ?? known.DLA;
  return typeof name === "string" && name !== "" ? name : undefined;
}
