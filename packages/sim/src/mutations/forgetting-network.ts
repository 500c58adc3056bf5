import type { ConnectHandler, Link, LinkHandler, Network } from "@everhold/env";
import {
  ByteReader,
  channelIdAt,
  decodePacket,
  frameHeaderBytes,
  FrameReader,
  magicBytes,
  packetById,
  packetIdAt,
  packets,
} from "@everhold/wire";
import { framesOf, type Frame } from "./editing-network.ts";
import { PassingLink } from "../network/passing-link.ts";

/** The version in which our clients speak. */
const version = 136;

/**
 * The network of a client that does not send again what its broken connection may have lost: of every session that
 * goes on, it is told that the broker has all that it sent.
 */
export function forgettingNetwork(network: Network): Network {
  /** Counted packets that left, by the channel of their session. */
  const sentCounts = new Map<number, number>();
  /** The channels of sessions, by name. */
  const channels = new Map<string, number>();
  return {
    listen: (endpoint, accept) => network.listen(endpoint, accept),
    connect: (endpoint, attempt) => {
      const handler: ConnectHandler = {
        onConnected: (link) => {
          const forgetting = new ForgettingLink(link, sentCounts, channels);
          return forgetting.attach(attempt.onConnected(forgetting));
        },
        onFailed: (error) => attempt.onFailed(error),
      };
      return network.connect(endpoint, handler);
    },
  };
}

class ForgettingLink extends PassingLink {
  readonly #sentCounts: Map<number, number>;
  readonly #channels: Map<string, number>;
  readonly #incoming = new FrameReader();
  readonly #outgoing = new FrameReader();
  /** The channels of sessions that are asked for; answers come in that order. */
  readonly #asked: number[] = [];
  #magicLeft = magicBytes.length;

  constructor(link: Link, sentCounts: Map<number, number>, channels: Map<string, number>) {
    super(link);
    this.#sentCounts = sentCounts;
    this.#channels = channels;
  }

  override attach(handler: LinkHandler): LinkHandler {
    return {
      ...super.attach(handler),
      onData: (bytes) => {
        for (const frame of framesOf(this.#incoming, bytes)) {
          this.#onReceived(frame);
          handler.onData(frame.bytes);
        }
      },
    };
  }

  override send(bytes: Uint8Array): void {
    const magic = Math.min(this.#magicLeft, bytes.length);
    this.#magicLeft -= magic;
    for (const frame of framesOf(this.#outgoing, bytes.subarray(magic))) this.#onSent(frame);
    super.send(bytes);
  }

  #onSent({ bytes, view }: Frame): void {
    const id = packetIdAt(view, 0);
    const body = new ByteReader(bytes.subarray(frameHeaderBytes));
    switch (id) {
      case packets.createSessionV2.id: {
        const created = decodePacket(packets.createSessionV2, body, version);
        this.#channels.set(created.name, created.sessionChannelId);
        this.#sentCounts.set(created.sessionChannelId, 0);
        return;
      }
      case packets.reattachSession.id: {
        const { name } = decodePacket(packets.reattachSession, body, version);
        this.#asked.push(this.#channels.get(name) ?? -1);
        return;
      }
      default: {
        if (packetById(id)?.counted !== "yes") return;
        const channel = channelIdAt(view, 0);
        this.#sentCounts.set(channel, (this.#sentCounts.get(channel) ?? 0) + 1);
      }
    }
  }

  #onReceived({ view }: Frame): void {
    if (packetIdAt(view, 0) !== packets.reattachSessionResponse.id) return;
    const sentCount = this.#sentCounts.get(this.#asked.shift() ?? -1);
    const isReattached = view.getUint8(frameHeaderBytes + 4) !== 0;
    if (isReattached && sentCount !== undefined) view.setInt32(frameHeaderBytes, sentCount - 1);
  }
}
