import type { LinkHandler, Network } from "@everhold/env";
import { operations, specialXids } from "@everhold/zookeeper-core";
import { PassingLink } from "../../network/passing-link.ts";

/** The network of a client that has no watches again that tell once. */
export function forgetfulWatches(network: Network): Network {
  return {
    listen: (endpoint, accept) => network.listen(endpoint, accept),
    connect: (endpoint, attempt) =>
      network.connect(endpoint, {
        onFailed: (error) => attempt.onFailed(error),
        onConnected: (link) => {
          const forgetful = new ForgetfulLink(link);
          return forgetful.attach(attempt.onConnected(forgetful));
        },
      }),
  };
}

class ForgetfulLink extends PassingLink {
  /** What the client gave us, in the order in which its changed copies were sent. */
  readonly #originals: Uint8Array[] = [];

  override attach(handler: LinkHandler): LinkHandler {
    return {
      ...super.attach(handler),
      onSent: () => {
        const original = this.#originals.shift();
        if (original !== undefined) handler.onSent(original);
      },
    };
  }

  override send(bytes: Uint8Array): void {
    this.#originals.push(bytes);
    super.send(withoutOneShots(bytes));
  }
}

/** Of a request to set watches: its length, xid, operation and `relativeZxid`; the lists come behind that. */
const listsOffset = 20;
const listsBytes = 12;

/** Whole requests, as a client sends them, with those to set watches that tell once asking for none. */
function withoutOneShots(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const changed = new Uint8Array(bytes.length + listsBytes);
  const changedView = new DataView(changed.buffer);
  let length = 0;
  for (let start = 0; start < bytes.length;) {
    const end = start + 4 + view.getInt32(start);
    const isForgotten =
      end >= start + listsOffset + listsBytes &&
      view.getInt32(start + 4) === specialXids.setWatches &&
      view.getInt32(start + 8) === operations.setWatches.code;
    const keptEnd = isForgotten ? start + listsOffset : end;
    changed.set(bytes.subarray(start, keptEnd), length);
    if (isForgotten) {
      changedView.setInt32(length, listsOffset + listsBytes - 4);
      changed.fill(0, length + listsOffset, length + listsOffset + listsBytes);
      length += listsOffset + listsBytes;
    } else length += end - start;
    start = end;
  }
  return changed.subarray(0, length);
}
