import type { Link } from "@everhold/env";
import { channelIdAt, isCounted, packetById, packetIdAt, packets } from "@everhold/wire";
import { packetIn, type PassingFrame } from "./watching-network.ts";

/** A session that has a confirmation window: both ends count its packets. */
export interface CountedSession {
  readonly channelId: number;
  /** Each of its sends takes effect by itself. */
  readonly autoCommitSends: boolean;
  /** The command id of the next packet that its client sends and both count. */
  nextId: number;
  link: Link;
}

/** A client's packet that counts. */
export interface Counted {
  readonly session: CountedSession;
  readonly commandId: number;
}

/** The broker says that it has all of a session up to a packet. */
export interface Confirmed extends Counted {
  /** How many had come when it said so. */
  readonly arrivedCount: number;
}

type Frame = Pick<PassingFrame, "bytes" | "view" | "start" | "end" | "link">;

/** Counts what the clients of one life of a broker send, as both ends do. */
export class CountedSessions {
  readonly #byName = new Map<string, CountedSession>();
  readonly #byLink = new WeakMap<Link, LinkSessions>();

  /** A client's frame has arrived. Undefined when it does not count. */
  fromClient(frame: Frame): Counted | undefined {
    const { view, start, link } = frame;
    const id = packetIdAt(view, start);
    if (id === packets.createSessionV2.id) this.#onCreated(frame);
    if (id === packets.reattachSession.id) {
      this.#sessionsOf(link).asked.push(packetIn(packets.reattachSession, frame).name);
    }
    const session = this.sessionOf(frame);
    if (session === undefined || !counts(id, frame)) return undefined;
    const commandId = session.nextId;
    session.nextId += 1;
    return { session, commandId };
  }

  /** The broker sends a frame. Undefined unless it says up to where it has all. */
  fromBroker(frame: Frame): Confirmed | undefined {
    const id = packetIdAt(frame.view, frame.start);
    if (id === packets.packetsConfirmed.id) {
      const session = this.sessionOf(frame);
      const { commandId } = packetIn(packets.packetsConfirmed, frame);
      if (session === undefined) return undefined;
      return { session, commandId, arrivedCount: session.nextId };
    }
    return id === packets.reattachSessionResponse.id ? this.#onAnswered(frame) : undefined;
  }

  /** The session of a frame's channel, unless it has gone on with another connection. */
  sessionOf({ view, start, link }: Frame): CountedSession | undefined {
    const session = this.#sessionsOf(link).byChannel.get(channelIdAt(view, start));
    return session?.link === link ? session : undefined;
  }

  #onCreated(frame: Frame): void {
    const created = packetIn(packets.createSessionV2, frame);
    const { sessionChannelId: channelId, autoCommitSends } = created;
    const { byChannel } = this.#sessionsOf(frame.link);
    byChannel.delete(channelId);
    if (created.confirmationWindowSize < 0) return;
    const session = { channelId, autoCommitSends, nextId: 0, link: frame.link };
    byChannel.set(channelId, session);
    this.#byName.set(created.name, session);
  }

  #onAnswered(frame: Frame): Confirmed | undefined {
    const { asked, byChannel } = this.#sessionsOf(frame.link);
    const session = this.#byName.get(asked.shift() ?? "");
    const answer = packetIn(packets.reattachSessionResponse, frame);
    if (session === undefined || !answer.reattached) return undefined;
    const commandId = answer.lastConfirmedCommandId;
    const arrivedCount = session.nextId;
    // Its client sends the rest again.
    session.nextId = commandId + 1;
    session.link = frame.link;
    byChannel.set(session.channelId, session);
    return { session, commandId, arrivedCount };
  }

  #sessionsOf(link: Link): LinkSessions {
    const found = this.#byLink.get(link) ?? { byChannel: new Map(), asked: [] };
    this.#byLink.set(link, found);
    return found;
  }
}

interface LinkSessions {
  readonly byChannel: Map<number, CountedSession>;
  /** The names of sessions that a client wants to go on with; answers come in that order. */
  readonly asked: string[];
}

function counts(id: number, frame: Frame): boolean {
  const definition = packetById(id);
  if (definition === undefined) return false;
  return definition.counted === "flag"
    ? isCounted(definition, packetIn(packets.addMetadataV2, frame))
    : definition.counted === "yes";
}
