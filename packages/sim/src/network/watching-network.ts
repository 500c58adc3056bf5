import type { Link, LinkHandler, Network } from "@everhold/env";
import {
  ByteReader,
  decodePacket,
  frameHeaderBytes,
  FrameReader,
  packetById,
  packetIdAt,
  type FieldTable,
  type FrameSink,
  type PacketDefinition,
  type ValueOf,
} from "@everhold/wire";

import { PassingLink } from "./passing-link.ts";

/** One frame that passes by; its bytes may be looked at during the call only. */
export interface PassingFrame {
  readonly from: "client" | "broker";
  /** The packet's name, e.g. `REATTACH_SESSION`. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly start: number;
  readonly end: number;
  /** The broker's end of the connection. */
  readonly link: Link;
}

/** The version in which our clients speak. */
const version = 136;

/** What a frame of our clients, or for them, says. */
export function packetIn<T extends FieldTable>(
  definition: PacketDefinition<number, T>,
  { bytes, start, end }: Pick<PassingFrame, "bytes" | "start" | "end">,
): ValueOf<T> {
  const body = new ByteReader(bytes.subarray(start + frameHeaderBytes, end));
  return decodePacket(definition, body, version);
}

/** A broker's network at which somebody looks on: every frame passes as it is, and is told of before it does. */
export function watchingNetwork(network: Network, onFrame: (frame: PassingFrame) => void): Network {
  return {
    listen: (endpoint, accept) =>
      network.listen(endpoint, (link) => {
        const watching = new WatchingLink(link, onFrame);
        return watching.attach(accept(watching));
      }),
    connect: (endpoint, attempt) => network.connect(endpoint, attempt),
  };
}

class WatchingLink extends PassingLink {
  readonly #incoming = new FrameReader({ expectMagic: true });
  readonly #outgoing = new FrameReader();
  readonly #fromClient: FrameSink;
  readonly #fromBroker: FrameSink;

  constructor(link: Link, onFrame: (frame: PassingFrame) => void) {
    super(link);
    const sink = (from: PassingFrame["from"]): FrameSink => ({
      onFrame: (bytes, view, start, end) => {
        const name = packetById(packetIdAt(view, start))?.name ?? "?";
        onFrame({ from, name, bytes, view, start, end, link });
        return true;
      },
    });
    this.#fromClient = sink("client");
    this.#fromBroker = sink("broker");
  }

  override attach(handler: LinkHandler): LinkHandler {
    return {
      ...super.attach(handler),
      onData: (bytes) => {
        this.#incoming.push(bytes, this.#fromClient);
        handler.onData(bytes);
      },
    };
  }

  override send(bytes: Uint8Array): void {
    this.#outgoing.push(bytes, this.#fromBroker);
    super.send(bytes);
  }
}
