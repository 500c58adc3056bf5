import { type Prng } from "@everhold/base";
import {
  ByteWriter,
  encodeTextBody,
  messageTypes,
  writeHeaders,
  writeMessage,
  type NamedShape,
  type PacketDefinition,
  type Shape,
  type CoreMessage,
} from "@everhold/wire";

import { version } from "./raw-client.test-support.ts";

/** The bytes of a durable text message. */
export function messageTo(address: string | null, choices: Partial<CoreMessage> = {}): Uint8Array {
  const writer = new ByteWriter();
  writeMessage(writer, { ...headersTo(address), body: encodeTextBody("text"), ...choices });
  return writer.toBytes();
}

/** A valid body of a packet, with every optional field present. */
export function sampleBody(definition: PacketDefinition): Uint8Array {
  return bodyOf(definition, plainChoice);
}

/** A valid body of a packet, with every text as long as it may be. */
export function longestBody(definition: PacketDefinition): Uint8Array {
  return bodyOf(definition, { ...plainChoice, text: (charactersMax) => "x".repeat(charactersMax) });
}

/** A body of a packet that is valid by itself, whatever it may mean: other values each time. */
export function anyBody(definition: PacketDefinition, prng: Prng): Uint8Array {
  return bodyOf(definition, new RandomChoice(prng));
}

/** How the values of a sample are chosen. */
interface Choice {
  integer(min: number, max: number): number;
  boolean(): boolean;
  text(charactersMax: number): string;
  isNull(): boolean;
  message(): Uint8Array;
  headers(): Uint8Array;
}

const plainChoice: Choice = {
  integer: (min, max) => Math.min(max, Math.max(min, 1)),
  boolean: () => true,
  text: () => "nowhere",
  isNull: () => false,
  message: () => messageTo("nowhere"),
  headers: () => headerBytes("nowhere"),
};

/** Few names and numbers, so that packets meet what earlier ones made; and the extremes. */
class RandomChoice implements Choice {
  readonly #prng: Prng;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  integer(min: number, max: number): number {
    const value = this.#prng.pick([0, 0, 0, 1, 1, 2, 3, -1, 10, 136, 1_000_000, min, max]);
    return Math.min(max, Math.max(min, value));
  }

  boolean(): boolean {
    return this.#prng.chance(0.5);
  }

  text(charactersMax: number): string {
    const long = "x".repeat(Math.min(charactersMax, 20_000));
    const names = ["a", "a", "a", "b", "b", "a::b", "b::a", "::", "", "#", "\ud83d"] as const;
    const others = ["colour = 'red'", "colour = (", "$everhold.queues", "DLQ", long] as const;
    return this.#prng.pick([...names, ...others]).slice(0, charactersMax);
  }

  isNull(): boolean {
    return this.#prng.chance(0.4);
  }

  message(): Uint8Array {
    return messageTo(this.#address(), {
      durable: this.boolean(),
      expiration: this.#prng.pick([0, 0, 1, Number.MAX_SAFE_INTEGER]),
      priority: this.#prng.pick([4, 4, 0, 9, 10, -1, 127]),
      body: new Uint8Array(this.#prng.pick([0, 1, 100, 10_000])),
    });
  }

  headers(): Uint8Array {
    return headerBytes(this.#address());
  }

  #address(): string | null {
    return this.isNull() ? null : this.text(1_100);
  }
}

function bodyOf(definition: PacketDefinition, choice: Choice): Uint8Array {
  const writer = new ByteWriter();
  const { shape } = definition.body;
  const value = shape.kind === "struct" ? sampleStruct(shape.fields, choice) : {};
  definition.body.write(writer, value, version);
  return writer.toBytes();
}

function headersTo(address: string | null): Omit<CoreMessage, "body"> {
  return {
    messageId: 0,
    address,
    userId: null,
    type: messageTypes.text,
    durable: true,
    expiration: 0,
    timestamp: 0,
    priority: 4,
    properties: new Map([
      ["_AMQ_ROUTING_TYPE", { type: "byte", value: 1 }],
      ["colour", { type: "string", value: "red" }],
    ]),
  };
}

function headerBytes(address: string | null): Uint8Array {
  const writer = new ByteWriter();
  writeHeaders(writer, headersTo(address));
  return writer.toBytes();
}

function sampleStruct(fields: readonly NamedShape[], choice: Choice): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const { name, shape } of fields) {
    const isAbsent = shape.kind === "when" && value[shape.flag] !== shape.equals;
    value[name] = isAbsent ? null : sample(shape, name, choice);
  }
  return value;
}

function sample(shape: Shape, name: string, choice: Choice): unknown {
  switch (shape.kind) {
    case "integer":
      return name === "clientVersion" ? version : choice.integer(shape.min, shape.max);
    case "long":
    case "float":
      return 1;
    case "boolean":
      return choice.boolean();
    case "string":
      return choice.text(shape.charactersMax);
    case "blob":
      return new Uint8Array(8);
    case "bytes":
      return new Uint8Array(shape.count);
    case "rest":
      return shape.notation === "HDR" ? choice.headers() : choice.message();
    case "nullable":
    case "maybe":
      return choice.isNull() ? null : sample(shape.inner, name, choice);
    case "since":
    case "tail":
    case "when":
      return sample(shape.inner, name, choice);
    case "list":
      return [sample(shape.item, name, choice)];
    case "struct":
      return sampleStruct(shape.fields, choice);
    case "properties":
    case "parameters":
      return new Map();
    case "foreign":
      throw new Error(`no sample is known for ${shape.notation}`);
  }
}
