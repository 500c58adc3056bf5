import { connect } from "@everhold/client";
import type { Link, LinkHandler, Ports } from "@everhold/env";
import { SimNetwork, World } from "@everhold/sim";
import { ByteReader, decodePacket, FrameReader, packets, readPacketHeader } from "@everhold/wire";

import { clientScenarios } from "./client-scenarios.ts";
import { differencesBetween, notCompared } from "./compare-frames.test-support.ts";
import {
  channelOf,
  packetNameOf,
  type Conversation,
  type ConversationEvent,
} from "./conversation.ts";
import { machineOf } from "./replay.test-support.ts";

const endpoint = { host: "broker", port: 61616 };

/**
 * Runs our client's scenario of a recording in a simulated world, against a broker that says what the
 * recorded one said as soon as the client has said what came before. Returns in what the client differs.
 */
export async function replayOnOurClient(recording: Conversation): Promise<string[]> {
  const world = new World({ seed: 1 });
  const network = new SimNetwork(world);
  const broker = new ScriptedBroker(recording);
  await listen(machineOf(world, network, endpoint.host).start(), broker);
  const ports = machineOf(world, network, "client").start();
  const scenario = clientScenarios[recording.scenario];
  if (scenario === undefined) throw new Error(`there is no scenario ${recording.scenario}`);
  let isDone = false;
  const running = scenario(
    (options) => connect(ports, `tcp://${endpoint.host}:${endpoint.port}`, options),
    `everhold.${recording.scenario}`,
  ).finally(() => (isDone = true));
  // Otherwise a failure before the world has come to rest would be one that nobody handles.
  running.catch(() => undefined);
  await world.run({ condition: () => isDone, timeMs: 120_000 });
  for (const { error } of world.failures) throw error;
  if (!isDone) return [...broker.differences(), "the scenario did not end"];
  await running;
  return broker.differences();
}

async function listen(ports: Ports, broker: ScriptedBroker): Promise<void> {
  await ports.network.listen(endpoint, (link) => broker.accept(link));
}

/** Says what was recorded, connection by connection. */
class ScriptedBroker {
  readonly #recording: Conversation;
  readonly #connections: ScriptedConnection[] = [];
  /** Names that clients draw at random: those of the recording, and those of now. */
  readonly #names = new Map<string, string>();

  constructor(recording: Conversation) {
    this.#recording = recording;
  }

  accept(link: Link): LinkHandler {
    const index = this.#connections.length;
    const { events, version } = this.#recording;
    const script = events.filter(
      ({ connection, frame }) =>
        connection === index && frame !== undefined && !notCompared.has(packetNameOf(frame)),
    );
    const connection = new ScriptedConnection(link, script, version, this.#names);
    this.#connections.push(connection);
    return connection;
  }

  differences(): string[] {
    return this.#connections.flatMap((connection) => connection.finish());
  }
}

class ScriptedConnection implements LinkHandler {
  readonly #link: Link;
  readonly #script: readonly ConversationEvent[];
  readonly #version: number;
  readonly #names: Map<string, string>;
  readonly #reader = new FrameReader({ expectMagic: true });
  readonly #differences: string[] = [];
  /** Events of the client that have happened, ahead of `#next` where channels race. */
  readonly #seen = new Set<ConversationEvent>();
  #next = 0;

  constructor(
    link: Link,
    script: readonly ConversationEvent[],
    version: number,
    names: Map<string, string>,
  ) {
    this.#link = link;
    this.#script = script;
    this.#version = version;
    this.#names = names;
  }

  /** What the client did differently; what it did not do at all included. */
  finish(): string[] {
    const missing = this.#script
      .filter((event) => event.from === "client" && !this.#seen.has(event))
      .map(({ frame }) => `${frame === undefined ? "" : packetNameOf(frame)}: only then`);
    return [...this.#differences, ...missing];
  }

  onData(bytes: Uint8Array): void {
    this.#reader.push(bytes, {
      onFrame: (chunk, _view, start, end) => {
        this.#onFrame(chunk.slice(start, end));
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
    // What the client did not say shows at the end.
  }

  #onFrame(frame: Uint8Array): void {
    const name = packetNameOf(frame);
    if (name === packets.ping.name) this.#link.send(frame);
    if (notCompared.has(name)) return;
    const event = this.#script.find(
      (each) =>
        each.from === "client" &&
        each.frame !== undefined &&
        !this.#seen.has(each) &&
        packetNameOf(each.frame) === name &&
        channelOf(each.frame) === channelOf(frame),
    );
    if (event?.frame === undefined) {
      this.#differences.push(`${name}: only now`);
      return;
    }
    this.#seen.add(event);
    this.#learnName(event.frame, frame);
    const then = this.#withNamesOfNow(event.frame);
    this.#differences.push(...differencesBetween(then, frame, this.#version));
    this.#speak();
  }

  /** Says everything up to what the client has still to say. */
  #speak(): void {
    for (; this.#next < this.#script.length; this.#next += 1) {
      const event = this.#script[this.#next];
      if (event?.frame === undefined) return;
      if (event.from === "broker") this.#link.send(this.#withNamesOfNow(event.frame));
      else if (!this.#seen.has(event)) return;
    }
  }

  #learnName(then: Uint8Array, now: Uint8Array): void {
    if (now[4] !== packets.createQueueV2.id) return;
    const [thenName, nowName] = [then, now].map((frame) => {
      const reader = new ByteReader(frame);
      readPacketHeader(reader);
      return decodePacket(packets.createQueueV2, reader, this.#version).queueName;
    });
    if (thenName !== undefined && nowName !== undefined && thenName !== nowName) {
      this.#names.set(thenName, nowName);
    }
  }

  /** The frame with names in place of those that the recorded client drew; they are as long. */
  #withNamesOfNow(frame: Uint8Array): Uint8Array {
    const bytes = Buffer.from(frame);
    for (const [then, now] of this.#names) {
      const found = Buffer.from(then, "utf16le");
      for (let at = bytes.indexOf(found); at !== -1; at = bytes.indexOf(found, at + 1)) {
        bytes.write(now, at, "utf16le");
      }
    }
    return new Uint8Array(bytes);
  }
}
