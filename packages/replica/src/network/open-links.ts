import { type EverholdError, RepeatedLine } from "@everhold/base";
import type { Endpoint, Link, LinkHandler, Listener, Macs, Ports } from "@everhold/env";
import type { Frame } from "@everhold/group";
import { Calling } from "./calling.ts";
import { Connection, type ConnectionOwner, type Refusal } from "./connection.ts";
import { type RefusalReason, refusals } from "./greeting.ts";
import {
  CalledIntroduction,
  CallerIntroduction,
  checkSelf,
  type IntroductionPorts,
  type Self,
} from "./introduction.ts";
import { limits } from "./limits.ts";
import type { Links, LinksListener } from "../links.ts";

/** The ports that links need. */
export type LinksPorts = Pick<Ports, "network" | "timers" | "monotonicClock" | "random" | "log"> & {
  readonly macs: Macs;
};

/** How a member is linked to the others of its group. */
export interface LinksOptions {
  readonly groupId: string;
  /** The member's own name. */
  readonly id: string;
  /** What every member of the group knows and nobody else: 16 to 1024 bytes, which nobody can guess. */
  readonly secret: Uint8Array;
  /**
   * Where the others can reach this member. Port 0 lets the system choose. With `tls`, links are private: those that
   * are accepted and, with the same certificate and the same `ca`, the one that is made.
   */
  readonly endpoint: Endpoint;
  /** Where a member can be reached, as far as that is known; asked before each attempt. */
  readonly addressOf: (id: string) => MemberPlace | undefined;
}

/** Where a member can be reached. */
export type MemberPlace = Pick<Endpoint, "host" | "port">;

/** Links at work. */
export interface OpenLinks extends Links {
  /** Where this member accepts, with the port that was chosen. */
  readonly endpoint: Endpoint;
}

/**
 * Accepts links from the other members, and makes one to whom is followed. Who it is on the other side is proved by the
 * group's secret before a frame passes; that nobody reads or alters frames later takes TLS (see the README).
 *
 * @throws EverholdError EVH_CONFIG, EVH_PORT_IN_USE
 */
export async function openLinks(
  ports: LinksPorts,
  options: LinksOptions,
  listener: LinksListener,
): Promise<OpenLinks> {
  checkSelf(options);
  const links = new NetworkLinks(ports, options, listener);
  await links.listen();
  return links;
}

class NetworkLinks implements OpenLinks, ConnectionOwner {
  endpoint: Endpoint;
  readonly #ports: LinksPorts;
  readonly #introductionPorts: IntroductionPorts;
  readonly #self: Self;
  readonly #listener: LinksListener;
  readonly #calling: Calling;
  readonly #refusals: RepeatedLine;
  /** Every connection that has not ended. */
  readonly #connections = new Set<Connection>();
  /** Those that were accepted and are no links, the oldest first. */
  readonly #strangers = new Set<Connection>();
  /** Those that are told why they are refused, the oldest first. */
  readonly #refused = new Set<Connection>();
  /** Those that are links, by number. */
  readonly #links = new Map<number, Connection>();
  /** Those that members made which called, by name. */
  readonly #callers = new Map<string, Connection>();
  #linkCount = 0;
  #acceptor: Listener | undefined;
  #closing: Promise<void> | undefined;
  #onLastClosed: () => void = () => undefined;

  constructor(ports: LinksPorts, options: LinksOptions, listener: LinksListener) {
    const { groupId, id, secret, endpoint, addressOf } = options;
    this.#ports = ports;
    this.#introductionPorts = { macs: ports.macs, random: ports.random };
    // A copy: what the caller does with its bytes is its own affair.
    this.#self = { groupId, id, secret: secret.slice() };
    this.#listener = listener;
    this.endpoint = endpoint;
    this.#refusals = new RepeatedLine(ports.log, "A connection of members was refused", 10);
    this.#calling = new Calling(ports, {
      addressOf: (wanted) => endpointAt(addressOf(wanted), endpoint),
      onAnswered: (link, wanted) => this.#called(link, wanted),
      onUnreachable: (wanted, why) => listener.onUnreachable(wanted, why),
    });
  }

  async listen(): Promise<void> {
    const { network } = this.#ports;
    this.#acceptor = await network.listen(this.endpoint, (link) => this.#accept(link));
    this.endpoint = this.#acceptor.endpoint;
  }

  follow(id: string | null): void {
    if (this.#closing === undefined) this.#calling.follow(id);
  }

  send(link: number, frame: Frame): void {
    this.#links.get(link)?.send(frame);
  }

  queuedBytes(link: number): number {
    return this.#links.get(link)?.stream.queuedBytes ?? 0;
  }

  disconnect(link: number): void {
    this.#links.get(link)?.destroy();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#calling.follow(null);
    const closed = new Promise<void>((resolve) => (this.#onLastClosed = resolve));
    for (const connection of this.#connections) {
      if (connection.link === undefined) connection.refuse("closing");
      else connection.destroy();
    }
    await this.#acceptor?.close();
    if (this.#connections.size > 0) await closed;
  }

  admit(connection: Connection, id: string): number | RefusalReason {
    if (this.#closing !== undefined) return "closing";
    if (this.#strangers.has(connection)) {
      const former = this.#callers.get(id);
      if (former === undefined && this.#callers.size >= limits.callerCountMax) return "crowded";
      // A member has one link to whom it follows: it would not call again if that one still worked.
      former?.destroy();
    }
    this.#linkCount += 1;
    return this.#linkCount;
  }

  onLinked(connection: Connection, link: number, id: string): void {
    const isOutgoing = !this.#strangers.delete(connection);
    this.#links.set(link, connection);
    if (isOutgoing) this.#calling.onLinked(connection);
    else this.#callers.set(id, connection);
    const { peer } = connection.stream;
    this.#ports.log.info("A member is linked", { member: id, peer, link, isOutgoing });
    this.#listener.onConnected(link, id, isOutgoing);
  }

  onFrame(link: number, frame: Frame): void {
    this.#listener.onFrame(link, frame);
  }

  onDrained(link: number): void {
    this.#listener.onDrained(link);
  }

  onRefused(connection: Connection, { reason, by, details }: Refusal): void {
    this.#strangers.delete(connection);
    this.#refused.add(connection);
    if (this.#refused.size > limits.strangerCountMax) {
      const [oldest] = this.#refused;
      if (oldest !== undefined) this.#refused.delete(oldest);
      oldest?.destroy();
    }
    const { peer } = connection.stream;
    const meaning = reason === "unknown" ? "A reason that is not known here" : refusals[reason][1];
    const nowMs = this.#ports.monotonicClock.nowMs();
    this.#refusals.note(nowMs, { peer, by, reason, meaning, ...details });
  }

  onFailed(connection: Connection, error: EverholdError): void {
    const { id, link } = connection;
    const { peer } = connection.stream;
    const { code, message } = error;
    this.#ports.log.warn("A link of members is ended", { member: id, peer, link, code, message });
  }

  onClosed(connection: Connection, error: Error | undefined): void {
    this.#connections.delete(connection);
    this.#strangers.delete(connection);
    this.#refused.delete(connection);
    const { link, id } = connection;
    if (id !== undefined && this.#callers.get(id) === connection) this.#callers.delete(id);
    if (link !== undefined) this.#links.delete(link);
    this.#calling.onClosed(connection);
    if (link !== undefined) {
      const { peer } = connection.stream;
      const reason = error?.message;
      this.#ports.log.info("A link of members has ended", { member: id, peer, link, reason });
      this.#listener.onDisconnected(link);
    }
    if (this.#connections.size === 0) this.#onLastClosed();
  }

  #accept(link: Link): LinkHandler {
    const introduction = new CalledIntroduction(this.#introductionPorts, this.#self);
    const connection = new Connection(this.#ports.timers, link, introduction, this);
    this.#connections.add(connection);
    this.#strangers.add(connection);
    if (this.#closing !== undefined) connection.refuse("closing");
    // Whoever has waited longest is least likely to be a member: one proves itself at once.
    const [oldest] = this.#strangers;
    if (this.#strangers.size > limits.strangerCountMax) oldest?.refuse("crowded");
    return connection.stream;
  }

  #called(link: Link, id: string): Connection {
    const introduction = new CallerIntroduction(this.#introductionPorts, this.#self, id);
    const connection = new Connection(this.#ports.timers, link, introduction, this);
    this.#connections.add(connection);
    connection.greet(introduction.call);
    return connection;
  }
}

/** One rule for both directions: nobody is called without TLS by a member that has it. */
function endpointAt(place: MemberPlace | undefined, own: Endpoint): Endpoint | undefined {
  if (place === undefined) return undefined;
  const { host, port } = place;
  return own.tls === undefined ? { host, port } : { host, port, tls: own.tls };
}
