import { scanMessage } from "@everhold/wire";

import type { Engine } from "./engine.ts";

/**
 * Sends a message of the broker's own, as a client's outside a transaction. Gives its id, −1 when no queue
 * takes it. Only between other messages: it uses the router's holders.
 *
 * @throws EverholdError when it is refused; ProtocolError when the bytes are no message
 */
export function sendOwn(engine: Engine, address: string, bytes: Uint8Array): number {
  const { router, credits, catalog } = engine;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  scanMessage(view, 0, bytes.length, router.scan);
  router.identify(bytes, view, false);
  router.checkSize(bytes.length);
  const target = catalog.resolve(address, undefined);
  // Whoever makes room on a full disk wants to hear of it; such replies are in memory only.
  if (router.scan.durable) credits.checkRoom(target.address);
  else credits.checkMemory(target.address);
  const verdict = router.prepare(target, bytes, view, 0, bytes.length);
  return verdict === "duplicate" ? -1 : router.add();
}
