import { unsaidQueue } from "../settings/queue-defaults.ts";
import type { Catalog } from "./catalog.ts";
import type { LiveQueue } from "./live-queue.ts";

/**
 * Makes a queue at a dead-letter or expiry address: one for everything, named after the address, or one
 * that is named and takes what its filter selects.
 * @throws EverholdError as {@link Catalog.createQueue}
 */
export function createSinkQueue(
  catalog: Catalog,
  address: string,
  own?: { readonly name: string; readonly filter: string },
): LiveQueue {
  const settings = catalog.settingsOf(address);
  const type = own === undefined ? "anycast" : "multicast";
  const name = own?.name ?? freeName(catalog, address);
  const unsaid = unsaidQueue({ queue: name, address }, type, settings);
  const isOwn = own !== undefined;
  const queue = catalog.createQueue(
    {
      ...unsaid,
      filter: own?.filter ?? null,
      autoCreated: isOwn,
      // Whatever holds elsewhere: what comes here is to be found here.
      purgeOnNoConsumers: false,
    },
    undefined,
  );
  queue.mayHoldMoved = true;
  return queue;
}

/** The name, or where a queue has it, the first one with a number that none has. */
function freeName(catalog: Catalog, name: string): string {
  let free = name;
  for (let number = 2; catalog.findQueue(free) !== undefined; number += 1)
    free = `${name}.${number}`;
  return free;
}
