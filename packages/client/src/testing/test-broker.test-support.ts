import type { Link, LinkHandler } from "@everhold/env";
import type { TestLink, TestWorld } from "@everhold/test-world";
import {
  ByteReader,
  ByteWriter,
  channelIdAt,
  decodePacket,
  encodePacket,
  frameHeaderBytes,
  FrameReader,
  isCounted,
  nettyConnectorFactory,
  packetById,
  packetIdAt,
  packets,
  type ConnectorParameter,
  type FieldTable,
  type PacketDefinition,
  type ValueOf,
} from "@everhold/wire";
import { TestSession } from "./test-session.test-support.ts";

/** A packet that the broker received. */
export interface Received {
  readonly name: string;
  readonly channelId: number;
  readonly value: Readonly<Record<string, unknown>>;
}

/** A message in a queue of the broker. */
export interface StoredMessage {
  readonly id: number;
  readonly bytes: Uint8Array;
  deliveryCount: number;
}

/** A queue of the broker. */
export interface TestQueue {
  readonly name: string;
  readonly address: string;
  readonly routing: number;
  readonly filter: string | null;
  readonly durable: boolean;
  readonly temporary: boolean;
  readonly messages: StoredMessage[];
  consumerCount: number;
}

/** A node that the broker tells of; where its halves are is said as `host:port`. */
export interface ToldMember {
  readonly nodeId: string;
  readonly eventId?: number;
  readonly exit?: boolean;
  readonly primary?: string;
  readonly backup?: string;
}

/** What a rule does with a packet: handles it as usual, or drops it, or refuses it with this code. */
export type Verdict = "usual" | "drop" | number;

/**
 * A CORE broker that does what the rules of a test say, and otherwise what the specification says: as
 * simply as possible, in memory, with the wire package's codecs.
 */
export class TestBroker {
  readonly queues = new Map<string, TestQueue>();
  readonly addresses = new Set<string>();
  /** Every packet that arrived, over all connections. */
  readonly received: Received[] = [];
  readonly connections: TestBrokerConnection[] = [];
  /** Looked at for every packet of a session before it is handled. */
  rule: (packet: Received) => Verdict = () => "usual";
  version = 136;
  acceptedVersions: readonly number[] = [136, 135, 134, 133, 132, 131, 130];
  isEverhold = true;
  features: readonly string[] = ["mark/1"];
  /** What it says where dead letters go; `undefined`: it does not say. */
  deadLetterAddress: string | undefined;
  autoCreate = true;
  grantsCredit = true;
  answersPings = true;
  tellsTopology = true;
  /** What it tells of the cluster; empty: of itself alone, without saying where it is. */
  topology: readonly ToldMember[] = [];
  nodeId = "node";
  /** What it says to whoever asks whether it may serve. */
  okToFailover = true;
  users: ReadonlyMap<string, string> | undefined;
  /** Duplicate ids that were seen, as text. */
  readonly duplicateIds = new Set<string>();
  /** Sessions of connections that broke without the broker's knowing. */
  readonly ghosts = new Map<string, TestSession>();
  /**
   * What sessions with acknowledgements in a transaction give back after their end was answered; `undefined`: they give
   * it back before that.
   */
  lateReturns: (() => void)[] | undefined;
  nextMessageId = 1000;
  readonly #world: TestWorld;
  readonly #port: number;
  #stop: (() => void) | undefined;

  constructor(world: TestWorld, port = 61616) {
    this.#world = world;
    this.#port = port;
    this.start();
  }

  /** Accepts connections. */
  start(): void {
    this.#stop = this.#world.network.serve({ port: this.#port }, (link) => {
      const connection = new TestBrokerConnection(this, link);
      this.connections.push(connection);
      return connection;
    });
  }

  /** Nobody listens until `start`. */
  stop(): void {
    this.#stop?.();
  }

  /** The process dies: connections break, deliveries go back, nobody listens until `start`. */
  kill(): void {
    this.stop();
    for (const connection of this.connections.splice(0)) connection.link.destroy();
    for (const queue of this.queues.values()) queue.consumerCount = 0;
  }

  /** The connections break, and the broker keeps their sessions. */
  cutKeeping(): void {
    for (const connection of this.connections) connection.becomesGhost = true;
    this.cut();
  }

  /** The connections break; the broker lives. */
  cut(): void {
    for (const connection of this.connections.splice(0)) connection.link.destroy();
  }

  /** Values of the packets of this name that arrived, in order. */
  got(name: string): Readonly<Record<string, unknown>>[] {
    return this.received.filter((packet) => packet.name === name).map(({ value }) => value);
  }

  /** Names of the packets that arrived since the last call, in order, pings left out. */
  takeNames(): string[] {
    return this.received.splice(0).flatMap(({ name }) => (name === "PING" ? [] : [name]));
  }

  /** The queue of this name, made if need be. */
  queue(name: string, change: Partial<TestQueue> = {}): TestQueue {
    const known = this.queues.get(name);
    if (known !== undefined) return known;
    const made: TestQueue = {
      name,
      address: name,
      routing: 1,
      filter: null,
      durable: true,
      temporary: false,
      messages: [],
      consumerCount: 0,
      ...change,
    };
    this.addresses.add(made.address);
    this.queues.set(name, made);
    return made;
  }

  /** The session that is open last. */
  get lastSession(): TestSession {
    const session = this.connections
      .flatMap((connection) => [...connection.sessions.values()])
      .at(-1);
    if (session === undefined) throw new Error("no session is open");
    return session;
  }

  /** Every session that is open. */
  get sessions(): TestSession[] {
    return this.connections.flatMap((connection) => [...connection.sessions.values()]);
  }

  /** Hands messages to every consumer that may have some. */
  deliverAll(): void {
    for (const session of this.sessions) session.deliver();
  }
}

/** One connection, the broker's end. */
export class TestBrokerConnection implements LinkHandler {
  readonly broker: TestBroker;
  readonly link: Link;
  readonly sessions = new Map<number, TestSession>();
  /** Whether the broker has not noticed that the connection is gone. */
  becomesGhost = false;
  readonly #frames = new FrameReader({ expectMagic: true });

  constructor(broker: TestBroker, link: Link) {
    this.broker = broker;
    this.link = link;
  }

  onData(bytes: Uint8Array): void {
    this.#frames.push(bytes, this);
  }

  onSent(): void {
    // Every packet has memory of its own.
  }

  onDrained(): void {
    // Nothing waits.
  }

  onClosed(): void {
    const index = this.broker.connections.indexOf(this);
    if (index >= 0) this.broker.connections.splice(index, 1);
    for (const session of this.sessions.values()) {
      if (this.becomesGhost) this.broker.ghosts.set(session.name, session);
      else session.fail();
    }
    this.sessions.clear();
  }

  onFrame(bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
    const id = packetIdAt(view, start);
    const channelId = channelIdAt(view, start);
    const definition = packetById(id);
    if (definition === undefined) throw new Error(`the client sent the unknown packet ${id}`);
    const copy = bytes.slice(start + frameHeaderBytes, end);
    const value = decodePacket(definition, new ByteReader(copy), this.broker.version);
    this.#onPacket({ name: definition.name, channelId, value });
    return true;
  }

  /** Sends a packet. */
  send<T extends FieldTable>(
    definition: PacketDefinition<number, T>,
    channelId: number,
    value: ValueOf<T>,
  ): void {
    const writer = new ByteWriter();
    encodePacket(writer, definition, channelId, value, this.broker.version);
    const bytes = writer.toBytes();
    if (isCounted(definition, value)) this.sessions.get(channelId)?.sent.push(bytes.slice());
    this.link.send(bytes);
  }

  /** Sends bytes as they are. */
  sendRaw(bytes: Uint8Array): void {
    this.link.send(bytes);
  }

  #onPacket(packet: Received): void {
    this.broker.received.push(packet);
    const verdict = this.broker.rule(packet);
    const session = this.sessions.get(packet.channelId);
    // What is dropped has come, and is not answered; Artemis does not count what it refuses.
    const isRefusal = typeof verdict === "number" && !this.broker.isEverhold;
    if (session !== undefined && isCountedPacket(packet) && !isRefusal) session.handledCount += 1;
    if (verdict === "drop") return;
    if (typeof verdict === "number") {
      const sent = packet.value["correlationId"];
      const correlationId = typeof sent === "number" && sent > 0 ? sent : -1;
      const value = { code: verdict, message: "the test says so", correlationId };
      this.send(packets.exception, packet.channelId, value);
      return;
    }
    if (packet.channelId === 0) this.#onConnectionPacket(packet);
    else if (packet.channelId === 1) this.#onAdministration(packet);
    else session?.onPacket(packet);
  }

  #onConnectionPacket({ name }: Received): void {
    const { broker } = this;
    if (name === "PING" && broker.answersPings)
      this.send(packets.ping, 0, { connectionTtl: 10_000 });
    if (name !== "SUBSCRIBE_TOPOLOGY_V2" || !broker.tellsTopology) return;
    const alone: ToldMember = { nodeId: broker.nodeId };
    const members = broker.topology.length === 0 ? [alone] : broker.topology;
    members.forEach((member, index) => this.tell(member, index === members.length - 1));
  }

  /** Tells of one node. */
  tell(member: ToldMember, last = false): void {
    const { broker } = this;
    const { nodeId, eventId = 1, exit = false, primary, backup } = member;
    const pair = { primary: connectorTo(primary), backup: connectorTo(backup), last };
    const value = {
      exit,
      nodeId,
      eventId,
      pair: exit ? null : pair,
      backupGroupName: null,
      scaleDownGroupName: null,
    };
    if (broker.version >= 131) {
      this.send(packets.clusterTopologyV4, 0, { ...value, serverVersion: broker.version });
    } else {
      this.send(packets.clusterTopologyV3, 0, value);
    }
  }

  /** Ends the connection with a notice; `target` is where it sends the client. */
  sayGoodbye(reason: number, target?: string, targetNodeId?: string): void {
    this.send(packets.disconnectV3, 0, {
      nodeId: this.broker.nodeId,
      reason,
      targetNodeId: targetNodeId ?? null,
      target: connectorTo(target),
    });
  }

  #onAdministration(packet: Received): void {
    const { broker } = this;
    const { value } = packet;
    if (packet.name === "REATTACH_SESSION") {
      const ghost = broker.ghosts.get(String(value["name"]));
      if (ghost === undefined) {
        const refusal = { lastConfirmedCommandId: -1, reattached: false };
        return this.send(packets.reattachSessionResponse, 1, refusal);
      }
      broker.ghosts.delete(ghost.name);
      ghost.moveTo(this);
      this.sessions.set(ghost.channelId, ghost);
      for (const frame of ghost.sentBehind(Number(value["lastConfirmedCommandId"]))) {
        this.link.send(frame.slice());
      }
      const answer = { lastConfirmedCommandId: ghost.handledCount - 1, reattached: true };
      return this.send(packets.reattachSessionResponse, 1, answer);
    }
    if (packet.name === "CHECK_FOR_FAILOVER") {
      const { okToFailover } = broker;
      return this.send(packets.checkForFailoverReply, 1, { okToFailover });
    }
    if (!broker.acceptedVersions.includes(Number(value["version"]))) return this.#refuse(108);
    const password = broker.users?.get(String(value["username"]));
    if (broker.users !== undefined && (password ?? null) !== value["password"])
      return this.#refuse(105);
    const session = new TestSession(this, {
      name: String(value["name"]),
      channelId: Number(value["sessionChannelId"]),
      transacted: value["autoCommitSends"] === false,
      preAcknowledge: value["preAcknowledge"] === true,
    });
    this.sessions.set(session.channelId, session);
    this.send(packets.createSessionResponse, 1, { serverVersion: broker.version });
  }

  #refuse(code: number): void {
    this.send(packets.exception, 1, { code, message: "no", correlationId: -1 });
  }
}

/** The connector for `host:port`. */
export function connectorTo(where: string | undefined): Connector | null {
  if (where === undefined) return null;
  const [host = "", port = ""] = where.split(":");
  const parameters = new Map<string, ConnectorParameter>([
    ["host", { type: "string", value: host }],
    ["port", { type: "int", value: Number(port) }],
  ]);
  return { name: where, factoryClassName: nettyConnectorFactory, parameters };
}

interface Connector {
  readonly name: string;
  readonly factoryClassName: string;
  readonly parameters: ReadonlyMap<string, ConnectorParameter>;
}

function isCountedPacket({ name, value }: Received): boolean {
  const definition = Object.values(packets).find((one) => one.name === name);
  return definition !== undefined && isCounted(definition, value);
}

/** The client's end of the newest link. */
export function lastLink(world: TestWorld): TestLink {
  const link = world.network.links.at(-1);
  if (link === undefined) throw new Error("no link was made");
  return link;
}
