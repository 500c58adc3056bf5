import { Broker } from "@everhold/broker";
import type { Link, LinkHandler, Ports } from "@everhold/env";
import { Machine, SimDisk, SimNetwork, World } from "@everhold/sim";
import { frameHeaderBytes, FrameReader, magicBytes, packets } from "@everhold/wire";

import {
  consumerIdOf,
  differencesBetween,
  messageIdOf,
  notCompared,
} from "./compare-frames.test-support.ts";
import {
  channelOf,
  packetNameOf,
  type Conversation,
  type ConversationEvent,
} from "./conversation.ts";

const brokerEndpoint = { host: "broker", port: 61616 };
/** Each of them begins with the consumer and the message. */
const namesMessages = new Set<number>([
  packets.acknowledge.id,
  packets.individualAcknowledge.id,
  packets.settle.id,
]);
const messageIdOffset = frameHeaderBytes + 8;
/** Virtual time in which our broker answers whatever it answers. */
const answerMs = 2_000;

/**
 * Says to our broker, in a simulated world, what the client of a recording said, in the same order and
 * never before the answers that came before it. Returns in what the answers differ.
 */
export async function replayOnOurBroker(recording: Conversation): Promise<string[]> {
  const world = new World({ seed: 1 });
  const network = new SimNetwork(world);
  let broker: Broker | undefined;
  const starting = Broker.start({
    ports: machineOf(world, network, brokerEndpoint.host).start(),
    config: {
      endpoints: [brokerEndpoint],
      journal: { segmentBytes: 1024 * 1024, snapshotBytes: 16 * 1024 * 1024 },
    },
  }).then((started) => (broker = started));
  await world.run({ condition: () => broker !== undefined });
  await starting;
  const replay = new Replay(world, machineOf(world, network, "client").start(), recording.version);
  for (const event of recording.events) await replay.next(event);
  await replay.finish();
  for (const { error } of world.failures) throw error;
  return replay.differences;
}

/** A computer with a disk that never fails. */
export function machineOf(world: World, network: SimNetwork, name: string): Machine {
  const scheduler = {
    after: (delayMs: number, task: () => void) =>
      world.after(delayMs, `${name} disk`, "done", task),
  };
  const disk = new SimDisk({ seed: 1, scheduler });
  return new Machine({ world, network, name, disk });
}

class Replay {
  readonly differences: string[] = [];
  readonly #world: World;
  readonly #ports: Ports;
  readonly #version: number;
  readonly #connections = new Map<number, Caller>();
  /** Our broker's id of each message, by the id in the recording. */
  readonly #messageIds = new Map<number, number>();
  /** Consumers, as `connection/channel`, that got a large message whole instead of in parts. */
  readonly #whole = new Set<string>();

  constructor(world: World, ports: Ports, version: number) {
    this.#world = world;
    this.#ports = ports;
    this.#version = version;
  }

  async next({ connection, from, frame }: ConversationEvent): Promise<void> {
    const caller = await this.#caller(connection);
    if (frame === undefined) {
      // A client may close behind its last request; what answers that must not depend on the pace.
      await this.#world.run({ timeMs: this.#world.nowMs + answerMs });
      if (from === "client") caller.end();
      await this.#world.run({ timeMs: this.#world.nowMs + answerMs });
    } else if (from === "client") caller.send(this.#withOurIds(frame));
    else if (!notCompared.has(packetNameOf(frame))) await this.#expect(caller, connection, frame);
  }

  /** What our broker said beyond what was recorded is a difference too. */
  async finish(): Promise<void> {
    await this.#world.run({ timeMs: this.#world.nowMs + answerMs });
    for (const caller of this.#connections.values()) {
      for (const frame of [...caller.answers.values()].flat()) {
        const name = packetNameOf(frame);
        // Java clients need not wait for the answer to the last close of a session.
        const isLate = name === packets.nullResponse.name && caller.hasClosed(channelOf(frame));
        if (!isLate) this.#note(`${name}: only ours`);
      }
    }
  }

  async #expect(caller: Caller, connection: number, frame: Uint8Array): Promise<void> {
    const key = answersKey(frame);
    const wholeKey = `${connection}/${channelOf(frame)}`;
    const name = packetNameOf(frame);
    if (name === packets.receiveContinuation.name && this.#whole.has(wholeKey)) return;
    await this.#world.run({
      condition: () => caller.count(key) > 0,
      timeMs: this.#world.nowMs + answerMs,
    });
    const found = caller.answers.get(key)?.shift();
    if (found === undefined) {
      this.#note(`${name}: only theirs`);
      return;
    }
    const messageId = messageIdOf(frame, this.#version);
    if (messageId !== undefined) {
      this.#messageIds.set(messageId, messageIdOf(found, this.#version) ?? 0);
    }
    if (name === packets.receiveLarge.name && packetNameOf(found) === packets.receive.name) {
      this.#whole.add(wholeKey);
    }
    for (const difference of differencesBetween(frame, found, this.#version)) {
      this.#note(difference);
    }
  }

  #note(difference: string): void {
    if (!this.differences.includes(difference)) this.differences.push(difference);
  }

  async #caller(connection: number): Promise<Caller> {
    const existing = this.#connections.get(connection);
    if (existing !== undefined) return existing;
    const caller = new Caller();
    this.#connections.set(connection, caller);
    this.#ports.network.connect(brokerEndpoint, {
      onConnected: (link) => caller.attach(link),
      onFailed: (error) => this.#world.fail("client", error),
    });
    await this.#world.run({ condition: () => caller.isOpen });
    caller.begin();
    return caller;
  }

  /** Acknowledgements and settlements name messages by the broker's ids, which are not those of the recording. */
  #withOurIds(frame: Uint8Array): Uint8Array {
    if (!namesMessages.has(frame[4] ?? 0)) return frame;
    const bytes = frame.slice();
    const view = new DataView(bytes.buffer);
    const messageId = this.#messageIds.get(Number(view.getBigInt64(messageIdOffset)));
    if (messageId !== undefined) view.setBigInt64(messageIdOffset, BigInt(messageId));
    return bytes;
  }
}

/** One connection to our broker. */
class Caller implements LinkHandler {
  /** What it said and nobody has looked at, by {@link answersKey}. */
  readonly answers = new Map<string, Uint8Array[]>();
  readonly #reader = new FrameReader();
  /** The id of the last packet that was sent, by channel. */
  readonly #lastRequests = new Map<number, number>();
  #link: Link | undefined;

  get isOpen(): boolean {
    return this.#link !== undefined;
  }

  attach(link: Link): this {
    this.#link = link;
    return this;
  }

  count(key: string): number {
    return this.answers.get(key)?.length ?? 0;
  }

  /** Whether a channel's last request closed its session. */
  hasClosed(channel: number): boolean {
    return this.#lastRequests.get(channel) === packets.sessionClose.id;
  }

  begin(): void {
    this.#link?.send(magicBytes.slice());
  }

  send(frame: Uint8Array): void {
    this.#lastRequests.set(channelOf(frame), frame[4] ?? 0);
    this.#link?.send(frame.slice());
  }

  end(): void {
    this.#link?.end();
  }

  onData(bytes: Uint8Array): void {
    this.#reader.push(bytes, {
      onFrame: (chunk, _view, start, end) => {
        const frame = chunk.slice(start, end);
        if (notCompared.has(packetNameOf(frame))) return true;
        const key = answersKey(frame);
        const waiting = this.answers.get(key) ?? [];
        waiting.push(frame);
        this.answers.set(key, waiting);
        return true;
      },
    });
  }

  onSent(): void {
    // The bytes were a copy.
  }

  onDrained(): void {
    // Little is sent.
  }

  onClosed(): void {
    // What did not come shows at once.
  }
}

/** Deliveries to one consumer race with those to others and with answers, and all with grants of credit. */
function answersKey(frame: Uint8Array): string {
  const name = packetNameOf(frame);
  const consumerId = consumerIdOf(frame);
  if (consumerId !== undefined) return `${channelOf(frame)} deliveries to ${consumerId}`;
  return `${channelOf(frame)} ${name === packets.producerCredits.name ? "grants" : "answers"}`;
}
