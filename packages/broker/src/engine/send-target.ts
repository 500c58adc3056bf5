import { EverholdError } from "@everhold/base";
import { decodeSimpleString, type MessageScan } from "@everhold/wire";

import type { RouteTarget } from "./address-cache.ts";
import { routingTypeOf } from "./routing-code.ts";
import type { Session } from "./session.ts";

/**
 * Where the message that was scanned last goes: to its address, else to the session's default one. Makes what
 * may be made.
 * @throws EverholdError EVH_ILLEGAL_STATE where there is neither, and as `Catalog.resolve`
 */
export function sendTarget(session: Session, scan: MessageScan, bytes: Uint8Array): RouteTarget {
  if (scan.addressStart < 0) return defaultTarget(session, scan);
  const cache = session.sink.link.addresses;
  const found = cache.find(bytes, scan.addressStart, scan.addressEnd);
  if (found !== undefined && isComplete(found, scan.routingType)) {
    session.defaultAddress ??= found.address.name;
    return found;
  }
  const name = decodeSimpleString(bytes, scan.addressStart, scan.addressEnd);
  const target = session.engine.catalog.resolve(name, routingTypeOf(scan.routingType));
  cache.add(bytes, scan.addressStart, scan.addressEnd, target);
  session.defaultAddress ??= name;
  return target;
}

function defaultTarget(session: Session, scan: MessageScan): RouteTarget {
  if (session.defaultAddress === undefined) {
    throw new EverholdError("EVH_ILLEGAL_STATE", "a message has no address to go to");
  }
  return session.engine.catalog.resolve(session.defaultAddress, routingTypeOf(scan.routingType));
}

/** Whether nothing has to be made before a message of this routing type may go to the target. */
function isComplete(target: RouteTarget, routingType: number): boolean {
  return routingType !== 1 || target.queue !== undefined || target.address.anycast.length > 0;
}
