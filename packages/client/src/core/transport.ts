import { assert, ConnectionError, EverholdError, ProtocolError } from "@everhold/base";
import type { Endpoint, Link, LinkHandler, Ports, Timer } from "@everhold/env";
import {
  ByteReader,
  ByteWriter,
  channelIdAt,
  encodePacket,
  frameHeaderBytes,
  FrameReader,
  packetIdAt,
  packets,
} from "@everhold/wire";
import { limits } from "../limits.ts";
import { formatEndpoint } from "../url/parse-url.ts";
import { readGoodbye, readTopology, type Goodbye, type TopologyUpdate } from "./topology.ts";

/** The newest protocol version that this client speaks. */
export const clientVersion = 136;

/** The first bytes on a connection, without frame or answer. */
const magic = new Uint8Array([0x41, 0x52, 0x54, 0x45, 0x4d, 0x49, 0x53]);

/** Who gets the packets of one session's channel. */
export interface ChannelHandler {
  /** One whole frame at `start` … `end`, its length field included. Bytes are the link's. */
  onFrame(bytes: Uint8Array, view: DataView, start: number, end: number): void;
  /** Sends what is due now and then: confirmations. */
  onHeartbeat(nowMs: number): void;
  /** The connection is gone; called once. */
  onLost(error: EverholdError): void;
}

/**
 * How the end of a connection is noticed: an error of the socket or in what came, its end, silence, the broker's
 * own notice, an answer that did not come in time, or the application's wish.
 */
export type Noticed = "error" | "end" | "silence" | "broker" | "call" | "application";

/** Who is told about the connection as a whole. */
export interface TransportListener {
  /** The connection is gone; called once, and last. */
  onLost(error: EverholdError, noticed: Noticed): void;
  /** A broker came, changed, or went. */
  onTopology(update: TopologyUpdate): void;
  /** The broker ends the connection, and says why; `onLost` follows. */
  onGoodbye(goodbye: Goodbye): void;
}

/** What a transport must know. */
export interface TransportSettings {
  readonly heartbeatPeriodMs: number;
  readonly heartbeatTtlMs: number;
  readonly callTimeoutMs: number;
}

/**
 * One socket's life: frames in and out, heartbeat, and who hears of its end. What is written during a
 * turn leaves in one `link.send` at its end.
 *
 *     open() ──> up ──fail(), close(), onClosed()──> lost
 */
export class Transport implements LinkHandler {
  /** Where it leads. */
  readonly endpoint: Endpoint;
  /** The same, as people write it. */
  readonly url: string;
  /** The broker's newest version; 0 until it is known. */
  serverVersion = 0;
  readonly ports: Pick<Ports, "timers" | "monotonicClock">;
  readonly settings: TransportSettings;
  readonly reader = new ByteReader();
  readonly #link: Link;
  readonly #frames = new FrameReader({ frameBytesMax: limits.frameBytesMax });
  readonly #channels = new Map<number, ChannelHandler>();
  readonly #spareBuffers: Uint8Array[] = [];
  readonly #turnTasks: (() => void)[] = [];
  readonly #writer = new ByteWriter(limits.outputBufferBytes);
  readonly #drainWaiters: (() => void)[] = [];
  #listener: TransportListener | undefined;
  #onTopology: (() => void) | undefined;
  #lostError: EverholdError | undefined;
  #turnEndAsked = false;
  #heartbeat: Timer | undefined;
  #heartbeatDueMs = 0;
  #lastInputMs: number;

  constructor(
    link: Link,
    endpoint: Endpoint,
    ports: Pick<Ports, "timers" | "monotonicClock">,
    settings: TransportSettings,
  ) {
    this.#link = link;
    this.endpoint = endpoint;
    this.url = formatEndpoint(endpoint);
    this.ports = ports;
    this.settings = settings;
    this.#lastInputMs = ports.monotonicClock.nowMs();
  }

  /** The version that both sides know; {@link clientVersion} until the broker has told its own. */
  get version(): number {
    return this.serverVersion === 0 ? clientVersion : Math.min(clientVersion, this.serverVersion);
  }

  /** Why the connection is gone; `undefined` while it stands. */
  get lostError(): EverholdError | undefined {
    return this.#lostError;
  }

  /** Bytes that wait for the network. */
  get queuedBytes(): number {
    return this.#link.queuedBytes + this.#writer.offset;
  }

  /** Whether so much waits for the network that what is large had better wait as well. */
  get isFull(): boolean {
    return this.#link.queuedBytes >= limits.uploadQueuedBytesMax;
  }

  /** Calls `done` once nothing waits for the network, or the connection is gone. Only when it is full. */
  whenDrained(done: () => void): void {
    if (this.#lostError === undefined) this.#drainWaiters.push(done);
    else done();
  }

  /** Says hello and calls `onTopology` once the broker has told its whole topology. */
  open(listener: TransportListener, onTopology: () => void): void {
    this.#listener = listener;
    this.#onTopology = onTopology;
    this.output().raw(magic);
    this.#ping();
    encodePacket(
      this.output(),
      packets.subscribeTopologyV2,
      0,
      { clusterConnection: false, clientVersion },
      clientVersion,
    );
    this.#scheduleHeartbeat();
  }

  /** Gives the packets of a channel to `handler`. */
  attach(channelId: number, handler: ChannelHandler): void {
    assert(!this.#channels.has(channelId), "a channel has one handler");
    this.#channels.set(channelId, handler);
  }

  /** Packets of this channel are dropped from now on, as the protocol wants it. */
  detach(channelId: number): void {
    this.#channels.delete(channelId);
  }

  /** Where to append whole frames. They leave at the end of the turn, or earlier when they are many. */
  output(): ByteWriter {
    if (this.#writer.offset >= limits.outputFlushBytes) this.#flush();
    this.#askForTurnEnd();
    return this.#writer;
  }

  /** Runs `task` before what this turn wrote leaves: the place to write what belongs to many calls. */
  atTurnEnd(task: () => void): void {
    this.#turnTasks.push(task);
    this.#askForTurnEnd();
  }

  /** Ends the connection because of `error`. Everybody hears of it before this returns. */
  fail(error: EverholdError, noticed: Noticed = "error"): void {
    this.#lose(error, noticed);
    this.#link.destroy();
  }

  /** Gives the connection up when the broker has not answered in time what it was asked at `sinceMs`. */
  failIfLate(attempt: string, sinceMs: number, nowMs: number): void {
    const { callTimeoutMs } = this.settings;
    if (nowMs - sinceMs <= callTimeoutMs) return;
    this.fail(
      new ConnectionError(
        "EVH_CONNECTION_TIMEOUT",
        `Cannot ${attempt}: the broker did not answer within ${callTimeoutMs} ms`,
      ),
      "call",
    );
  }

  /** Sends what is written and ends the connection in order. */
  close(error: EverholdError): void {
    this.#runTurnTasks();
    this.#flush();
    this.#lose(error, "application");
    this.#link.end();
  }

  onData(bytes: Uint8Array): void {
    if (this.#lostError !== undefined) return;
    this.#lastInputMs = this.ports.monotonicClock.nowMs();
    try {
      this.#frames.push(bytes, this);
    } catch (error) {
      this.fail(asProtocolError(error, this.url));
    }
  }

  onSent(bytes: Uint8Array): void {
    if (bytes.buffer.byteLength > limits.outputBufferKeepBytes) return;
    if (this.#spareBuffers.length >= limits.outputBufferCountMax) return;
    this.#spareBuffers.push(new Uint8Array(bytes.buffer));
  }

  onDrained(): void {
    // Other sends are bounded by credits and by the send buffer.
    for (const done of this.#drainWaiters.splice(0)) done();
  }

  onClosed(error: Error | undefined): void {
    // Only what the broker thinks of our certificate is told so late, and is no ordinary loss.
    if (EverholdError.is(error, "EVH_CLIENT_CERTIFICATE")) {
      this.#lose(error, "error");
      return;
    }
    this.#lose(
      new ConnectionError(
        "EVH_DISCONNECTED",
        this.#onTopology === undefined
          ? `The connection to ${this.url} broke`
          : `Cannot connect to ${this.url}: the connection ended before the broker said hello; ` +
              "perhaps it lets no more connections in",
        { cause: error },
      ),
      error === undefined ? "end" : "error",
    );
  }

  /** Called by the frame reader; false ends the reading of this chunk. */
  onFrame(bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
    const channelId = channelIdAt(view, start);
    if (channelId === 0) this.#onConnectionFrame(bytes, view, start, end);
    else this.#channels.get(channelId)?.onFrame(bytes, view, start, end);
    return this.#lostError === undefined;
  }

  #onConnectionFrame(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    const id = packetIdAt(view, start);
    this.reader.reset(bytes, view, start + frameHeaderBytes, end);
    switch (id) {
      case packets.ping.id:
        return;
      case packets.disconnect.id:
      case packets.disconnectV2.id:
      case packets.disconnectV3.id:
        this.#onGoodbye(id);
        return;
      default:
        this.#onTopologyFrame(id);
    }
  }

  #onGoodbye(id: number): void {
    const goodbye = readGoodbye(id, this.reader, clientVersion);
    if (goodbye !== undefined) this.#listener?.onGoodbye(goodbye);
    this.fail(
      new ConnectionError("EVH_DISCONNECTED", `The broker at ${this.url} ended the connection`),
      "broker",
    );
  }

  #onTopologyFrame(id: number): void {
    const topology = readTopology(id, this.reader, clientVersion);
    if (topology === undefined) return;
    if (topology.serverVersion > 0) this.serverVersion = topology.serverVersion;
    this.#listener?.onTopology(topology);
    if (!topology.last) return;
    const onTopology = this.#onTopology;
    this.#onTopology = undefined;
    onTopology?.();
  }

  #askForTurnEnd(): void {
    if (this.#turnEndAsked) return;
    this.#turnEndAsked = true;
    this.ports.timers.atTurnEnd(this.#onTurnEnd);
  }

  readonly #onTurnEnd = (): void => {
    this.#turnEndAsked = false;
    this.#runTurnTasks();
    this.#flush();
  };

  #runTurnTasks(): void {
    for (let task = this.#turnTasks.pop(); task !== undefined; task = this.#turnTasks.pop()) task();
  }

  #flush(): void {
    const writer = this.#writer;
    if (writer.offset === 0) return;
    if (this.#lostError !== undefined) return writer.clear();
    const bytes = writer.written();
    writer.attach(this.#spareBuffers.pop() ?? new Uint8Array(limits.outputBufferBytes));
    this.#link.send(bytes);
  }

  #ping(): void {
    const { heartbeatTtlMs } = this.settings;
    const value = { connectionTtl: heartbeatTtlMs === Infinity ? -1 : heartbeatTtlMs };
    encodePacket(this.output(), packets.ping, 0, value, clientVersion);
  }

  #scheduleHeartbeat(): void {
    const delayMs = this.settings.heartbeatPeriodMs;
    this.#heartbeatDueMs = this.ports.monotonicClock.nowMs() + delayMs;
    this.#heartbeat = this.ports.timers.after(delayMs, () => this.#onHeartbeat());
  }

  #onHeartbeat(): void {
    const nowMs = this.ports.monotonicClock.nowMs();
    // A tick that comes late was held up by this process itself: what the broker sent meanwhile is
    // still unread, so its silence proves nothing yet.
    const late = nowMs - this.#heartbeatDueMs > this.settings.heartbeatPeriodMs;
    const silentMs = nowMs - this.#lastInputMs;
    if (silentMs >= this.settings.heartbeatTtlMs && !late) {
      this.fail(
        new ConnectionError(
          "EVH_CONNECTION_TIMEOUT",
          `The broker at ${this.url} was silent for ${Math.round(silentMs)} ms, ` +
            `at most ${this.settings.heartbeatTtlMs} are allowed`,
        ),
        "silence",
      );
      return;
    }
    for (const channel of this.#channels.values()) channel.onHeartbeat(nowMs);
    if (this.#lostError !== undefined) return;
    this.#ping();
    this.#scheduleHeartbeat();
  }

  #lose(error: EverholdError, noticed: Noticed): void {
    if (this.#lostError !== undefined) return;
    this.#lostError = error;
    this.#heartbeat?.cancel();
    this.#turnTasks.length = 0;
    const channels = [...this.#channels.values()];
    this.#channels.clear();
    for (const channel of channels) channel.onLost(error);
    for (const done of this.#drainWaiters.splice(0)) done();
    this.#listener?.onLost(error, noticed);
  }
}

/** Errors of decoding are the peer's; anything else is ours and goes on as what it is. */
function asProtocolError(error: unknown, url: string): EverholdError {
  if (EverholdError.is(error)) return error;
  return new ProtocolError("EVH_PROTOCOL", `Cannot read what the broker at ${url} sent`, {
    cause: error,
  });
}
