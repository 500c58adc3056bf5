import { EverholdError } from "@everhold/base";
import {
  encodeObjectBody,
  encodeStreamBody,
  messageTypes,
  simpleString,
  writeProperties,
  type ByteWriter,
} from "@everhold/wire";
import { limits } from "../limits.ts";
import {
  toTypedProperties,
  toTypedValue,
  type Properties,
  type PropertyValue,
} from "./properties.ts";

/**
 * What a message says: a string (a text message), bytes, `{ json }` (text with a content type),
 * `{ map }` (typed values by name), `{ stream }` (typed values in order), `{ object }` (bytes that stand
 * for an object, Java's serialization where Java programs read them), or nothing.
 */
export type Body =
  | string
  | Uint8Array
  | { readonly json: unknown }
  | { readonly map: Properties }
  | { readonly stream: readonly PropertyValue[] }
  | { readonly object: Uint8Array | null }
  | undefined;

/** The content type of a `{ json }` body, in the property that Artemis uses for it. */
export const jsonContentType = "application/json";

const textField = simpleString(limits.frameBytesMax);

/** The type byte that `body` gets. @throws EverholdError EVH_MESSAGE_FORMAT */
export function bodyType(body: Body): number {
  if (body === undefined) return messageTypes.default;
  if (typeof body === "string") return messageTypes.text;
  if (body instanceof Uint8Array) return messageTypes.bytes;
  if (typeof body === "object" && body !== null) {
    if ("json" in body) return messageTypes.text;
    if ("map" in body && typeof body.map === "object" && body.map !== null) return messageTypes.map;
    if ("stream" in body && Array.isArray(body.stream)) return messageTypes.stream;
    if ("object" in body && (body.object === null || body.object instanceof Uint8Array)) {
      return messageTypes.object;
    }
  }
  throw new EverholdError(
    "EVH_MESSAGE_FORMAT",
    `Cannot send a body of type ${body === null ? "null" : typeof body}: expected a string, ` +
      "Uint8Array, { json }, { map }, { stream }, { object } or undefined",
  );
}

/** Whether `body` is a `{ json }` one. */
export function isJsonBody(body: Body): boolean {
  return typeof body === "object" && !(body instanceof Uint8Array) && "json" in body;
}

/** Appends the body's bytes. @throws EverholdError EVH_MESSAGE_FORMAT */
export function writeBody(writer: ByteWriter, body: Body): void {
  if (body === undefined) return;
  if (typeof body === "string") return writeText(writer, body);
  if (body instanceof Uint8Array) return writer.raw(body);
  if ("json" in body) return writeText(writer, jsonText(body.json));
  if ("stream" in body) return writer.raw(streamBytes(body.stream));
  if ("object" in body) return writer.raw(encodeObjectBody(body.object));
  writeProperties(writer, toTypedProperties(body.map));
}

function streamBytes(values: readonly PropertyValue[]): Uint8Array {
  const typed = values.map((value, index) => toTypedValue(`stream[${index}]`, value));
  try {
    return encodeStreamBody(typed);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new EverholdError(
      "EVH_MESSAGE_FORMAT",
      `Cannot send a { stream } body: ${cause.message}`,
      {
        cause,
      },
    );
  }
}

function writeText(writer: ByteWriter, text: string): void {
  writer.u8(1);
  textField.write(writer, text, 0);
}

function jsonText(value: unknown): string {
  let text: unknown;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new EverholdError(
      "EVH_MESSAGE_FORMAT",
      "Cannot send a { json } body: the value has no JSON form",
      { cause },
    );
  }
  if (typeof text === "string") return text;
  throw new EverholdError(
    "EVH_MESSAGE_FORMAT",
    `Cannot send a { json } body: found ${typeof value}, which has no JSON form`,
  );
}
