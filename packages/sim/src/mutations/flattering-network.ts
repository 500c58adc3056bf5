import type { LinkHandler, Network } from "@everhold/env";
import {
  ByteReader,
  ByteWriter,
  channelIdAt,
  decodePacket,
  encodePacket,
  frameHeaderBytes,
  FrameReader,
  noCorrelation,
  packetIdAt,
  packets,
} from "@everhold/wire";

import { PassingLink } from "../network/passing-link.ts";

/** The version at which correlation ids exist; both packets look the same in all later ones. */
const version = 135;

/** The network of a broker that answers every send with success, also those that it refused. */
export function flatteringNetwork(network: Network): Network {
  return {
    listen: (endpoint, accept) =>
      network.listen(endpoint, (link) => {
        const flattering = new FlatteringLink(link);
        const handler = accept(flattering);
        return flattering.attach(handler);
      }),
    connect: (endpoint, attempt) => network.connect(endpoint, attempt),
  };
}

class FlatteringLink extends PassingLink {
  readonly #frames = new FrameReader();
  /** What the broker gave us, in the order in which its changed copies were sent. */
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
    const writer = new ByteWriter();
    this.#frames.push(bytes, {
      onFrame: (frame, view, start, end) => {
        flatter(writer, frame, view, start, end);
        return true;
      },
    });
    this.#originals.push(bytes);
    super.send(writer.toBytes());
  }
}

function flatter(
  writer: ByteWriter,
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
): void {
  if (packetIdAt(view, start) === packets.exception.id) {
    const body = new ByteReader(bytes.subarray(start + frameHeaderBytes, end));
    const { correlationId } = decodePacket(packets.exception, body, version);
    // Only sends that nobody blocks on have a correlation id.
    if (correlationId !== noCorrelation) {
      encodePacket(
        writer,
        packets.nullResponse,
        channelIdAt(view, start),
        { correlationId },
        version,
      );
      return;
    }
  }
  writer.raw(bytes, start, end);
}
