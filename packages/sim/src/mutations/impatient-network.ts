import type { Link, LinkHandler, Network } from "@everhold/env";
import { ByteWriter, encodePacket, FrameReader, magicBytes, packets } from "@everhold/wire";
import { CountedSessions, type CountedSession } from "../network/counted-sessions.ts";
import { PassingLink } from "../network/passing-link.ts";
import { framesOf, type Frame } from "./editing-network.ts";

/** The version in which our clients speak. */
const version = 136;

/** The network of a broker that confirms what has come as soon as it has; answers wait for the disk as ever. */
export function impatientNetwork(network: Network): Network {
  const sessions = new CountedSessions();
  return {
    listen: (endpoint, accept) =>
      network.listen(endpoint, (link) => {
        const impatient = new ImpatientLink(link, sessions);
        return impatient.attach(accept(impatient));
      }),
    connect: (endpoint, attempt) => network.connect(endpoint, attempt),
  };
}

class ImpatientLink extends PassingLink {
  readonly #sessions: CountedSessions;
  readonly #incoming = new FrameReader();
  readonly #outgoing = new FrameReader();
  /** What we send between what the broker does. */
  readonly #own = new Set<Uint8Array>();
  #magicLeft = magicBytes.length;

  constructor(link: Link, sessions: CountedSessions) {
    super(link);
    this.#sessions = sessions;
  }

  override attach(handler: LinkHandler): LinkHandler {
    return {
      ...super.attach(handler),
      onData: (bytes) => {
        const magic = Math.min(this.#magicLeft, bytes.length);
        this.#magicLeft -= magic;
        const frames = framesOf(this.#incoming, bytes.subarray(magic));
        handler.onData(bytes);
        for (const frame of frames) this.#onArrived(frame);
      },
      onSent: (bytes) => {
        if (!this.#own.delete(bytes)) handler.onSent(bytes);
      },
    };
  }

  override send(bytes: Uint8Array): void {
    for (const frame of framesOf(this.#outgoing, bytes)) {
      this.#sessions.fromBroker(this.#passing(frame));
    }
    super.send(bytes);
  }

  #onArrived(frame: Frame): void {
    const counted = this.#sessions.fromClient(this.#passing(frame));
    if (counted !== undefined) this.#confirm(counted.session, counted.commandId);
  }

  #confirm({ channelId }: CountedSession, commandId: number): void {
    const writer = new ByteWriter();
    encodePacket(writer, packets.packetsConfirmed, channelId, { commandId }, version);
    const bytes = writer.toBytes();
    this.#own.add(bytes);
    super.send(bytes);
  }

  #passing({ bytes, view }: Frame): Frame & {
    readonly start: number;
    readonly end: number;
    readonly link: Link;
  } {
    return { bytes, view, start: 0, end: bytes.length, link: this };
  }
}
