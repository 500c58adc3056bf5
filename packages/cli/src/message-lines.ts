import {
  EverholdError,
  type Body,
  type BodyKind,
  type Message,
  type PropertyValue,
  type SendOptions,
} from "everhold";

import { isoTime } from "./iso-time.ts";

/** A message to be sent, as a line of a file says it. */
export interface MessageLine {
  readonly body: Body;
  readonly options: SendOptions;
}

/** Where the client writes what kind of text a body is. */
const contentTypeProperty = "_AMQ_CONTENT_TYPE";
const jsonContentType = "application/json";

/** What `send --file` reads over: only the broker can say it. */
const brokerKeys = new Set([
  "id",
  "address",
  "timestamp",
  "expiresAt",
  "deliveryCount",
  "redelivered",
]);
const textKeys = ["correlationId", "replyTo", "groupId", "type", "duplicateId"] as const;
const bodyKeys = ["body", "json", "map", "base64"] as const;
const knownKeys = new Set<string>([
  ...bodyKeys,
  ...textKeys,
  ...brokerKeys,
  ...["bodyKind", "durable", "priority", "ttl", "delay", "properties"],
]);

/**
 * A message as one JSON object: its body as `body` (text), `json`, `map` or `base64` (bytes, and kinds
 * that JSON has no form for, as `bodyKind` says), and what it carries.
 * `send --file` reads what `consume --json` writes.
 */
export function messageToObject(message: Message): object {
  const properties = Object.entries(message.properties).filter(([name]) => !isProtocolName(name));
  return {
    ...bodyFields(message),
    id: message.id,
    address: message.address,
    timestamp: message.timestamp === 0 ? undefined : isoTime(message.timestamp),
    expiresAt: message.expiresAt === undefined ? undefined : isoTime(message.expiresAt),
    durable: message.durable,
    priority: message.priority,
    deliveryCount: message.deliveryCount,
    redelivered: message.redelivered,
    correlationId: message.correlationId,
    replyTo: message.replyTo,
    groupId: message.groupId,
    type: message.type,
    properties: properties.length === 0 ? undefined : jsonValuesOf(Object.fromEntries(properties)),
  };
}

/**
 * The message that a line of JSON says.
 *
 * @throws Error naming what was found and what is allowed
 */
export function parseMessageLine(line: string): MessageLine {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new Error(`expected a JSON object, found ${shorten(line)}`, { cause });
  }
  if (!isRecord(value)) throw new Error(`expected a JSON object, found ${shorten(line)}`);
  const unknown = Object.keys(value).find((key) => !knownKeys.has(key));
  if (unknown !== undefined) {
    throw new Error(`unknown key ${unknown}; allowed: ${[...knownKeys].join(", ")}`);
  }
  return { body: bodyOf(value), options: optionsOf(value) };
}

/** The body as a person would like to read it, on one line unless it has lines of its own. */
export function bodyText(message: Message): string {
  const fields = bodyFields(message);
  if ("body" in fields) return fields.body;
  if ("json" in fields) return JSON.stringify(fields.json);
  if ("map" in fields) return JSON.stringify(fields.map);
  return textOf(message) ?? `<${message.body.length} bytes> ${fields.base64}`;
}

type BodyFields =
  | { readonly body: string }
  | { readonly json: unknown }
  | { readonly map: object }
  | { readonly base64: string; readonly bodyKind: BodyKind };

/** The body in the form that keeps its kind. */
function bodyFields(message: Message): BodyFields {
  const { bodyKind } = message;
  if (bodyKind === "map") return { map: jsonValuesOf(message.map()) };
  const text = bodyKind === "text" ? textOf(message) : undefined;
  if (text === undefined) return { base64: base64Of(message.body), bodyKind };
  if (message.properties[contentTypeProperty] !== jsonContentType) return { body: text };
  try {
    return { json: JSON.parse(text) };
  } catch {
    // It says that it is JSON and is not: its text is then the most that can be told.
    return { body: text };
  }
}

function textOf(message: Message): string | undefined {
  try {
    return message.text();
  } catch (error) {
    if (EverholdError.is(error, "EVH_MESSAGE_FORMAT")) return undefined;
    throw error;
  }
}

function bodyOf(value: Readonly<Record<string, unknown>>): Body {
  const found = bodyKeys.filter((key) => key in value);
  const [kind, second] = found;
  if (kind === undefined || second !== undefined) {
    const names = found.length === 0 ? "none" : found.join(" and ");
    throw new Error(`expected one of ${bodyKeys.join(", ")}, found ${names}`);
  }
  const content = value[kind];
  switch (kind) {
    case "body":
      return textValue(kind, content);
    case "json":
      return { json: content };
    case "map":
      return { map: propertiesOf(kind, content) };
    case "base64":
      return bytesOf(textValue(kind, content), value["bodyKind"]);
  }
}

/** A message without a body stays one; bytes of kinds that a line has no form for become bytes. */
function bytesOf(base64: string, bodyKind: unknown): Body {
  if (base64 === "" && bodyKind === "other") return undefined;
  return bytesFrom("base64", base64);
}

function optionsOf(value: Readonly<Record<string, unknown>>): SendOptions {
  const { durable, priority, ttl, delay, properties } = value;
  return {
    ...(durable === undefined ? {} : { durable: booleanOf("durable", durable) }),
    ...(priority === undefined ? {} : { priority: numberOf("priority", priority, 9) }),
    ...(ttl === undefined ? {} : { ttl: numberOf("ttl", ttl) }),
    ...(delay === undefined ? {} : { delay: numberOf("delay", delay) }),
    ...(properties === undefined ? {} : { properties: propertiesOf("properties", properties) }),
    ...Object.fromEntries(
      textKeys.flatMap((key) => (key in value ? [[key, textValue(key, value[key])]] : [])),
    ),
  };
}

function propertiesOf(key: string, value: unknown): Record<string, PropertyValue> {
  if (!isRecord(value)) throw new Error(`${key}: expected a JSON object`);
  return Object.fromEntries(
    Object.entries(value).map(([name, property]): [string, PropertyValue] => {
      if (
        property === null ||
        typeof property === "string" ||
        typeof property === "number" ||
        typeof property === "boolean"
      ) {
        return [name, property];
      }
      if (isRecord(property) && typeof property["base64"] === "string") {
        return [name, bytesFrom(`${key}.${name}.base64`, property["base64"])];
      }
      throw new Error(`${key}.${name}: expected a text, a number, a truth value or null`);
    }),
  );
}

/** What JSON has no word for travels as `{ base64 }`, or as a text where it is a long beyond 2^53. */
function jsonValuesOf(values: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      if (value instanceof Uint8Array) return [name, { base64: base64Of(value) }];
      return [name, typeof value === "bigint" ? value.toString() : value];
    }),
  );
}

/** Node drops what it cannot read. @throws Error for what is not base64 */
function bytesFrom(key: string, base64: string): Uint8Array {
  const bytes = new Uint8Array(Buffer.from(base64, "base64"));
  if (withoutPadding(base64Of(bytes)) === withoutPadding(base64)) return bytes;
  throw new Error(`${key}: expected base64, found ${shorten(base64)}`);
}

function withoutPadding(base64: string): string {
  return base64.replace(/=+$/, "");
}

function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

/**
 * Properties that the protocol uses itself. Sent again they would do something: the duplicate id of a
 * message makes the broker drop its copy.
 */
function isProtocolName(name: string): boolean {
  return /^(?:_{1,2}AMQ_|_EVH_|JMS)/.test(name);
}

function booleanOf(key: string, value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw new Error(`${key}: expected true or false`);
}

function numberOf(key: string, value: unknown, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max) {
    return value;
  }
  throw new Error(`${key}: expected a whole number from 0 to ${max}`);
}

function textValue(key: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw new Error(`${key}: expected a text`);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
