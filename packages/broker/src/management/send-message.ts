import { EverholdError } from "@everhold/base";
import {
  ByteWriter,
  defaultPriority,
  encodeTextBody,
  messageTypes,
  propertyNames,
  writeMessage,
  type TypedValue,
} from "@everhold/wire";

import { loginRefusal } from "../engine/login-refusal.ts";
import { sendOwn } from "../engine/own-messages.ts";
import { limits } from "../limits.ts";
import type { ManagedBroker } from "./managed-broker.ts";
import { findAddress } from "./queue-administration.ts";

/** What an operation that sends a message is told. */
export interface SendRequest {
  readonly headers: ReadonlyMap<string, string>;
  readonly type: number;
  readonly body: string | null;
  readonly durable: boolean;
  readonly user: string | null;
  readonly password: string | null;
}

/**
 * Sends a message to an address, or to one queue of it (`address::queue`). Gives its id as text; later
 * where the password has to be checked first.
 * @throws EverholdError EVH_SECURITY, EVH_NOT_READY, EVH_REJECTED, EVH_ADDRESS_FULL
 */
export function sendMessage(
  broker: ManagedBroker,
  to: string,
  request: SendRequest,
): string | Promise<string> {
  const { logins } = broker.ports;
  if (logins?.isRequired !== true) return send(broker, to, request);
  return new Promise((resolve, reject) => {
    logins.check(request.user, request.password, (verdict) => {
      try {
        if (verdict !== "welcome") throw loginRefusal(verdict);
        // The address may have gone while the password was checked; it is looked up only now.
        resolve(send(broker, to, request));
      } catch (error) {
        reject(error);
      }
      broker.engine.endStep();
    });
  });
}

function send(broker: ManagedBroker, to: string, request: SendRequest): string {
  const { engine } = broker;
  const address = findAddress(broker, "send to", to);
  if (request.headers.size > limits.propertiesMax) {
    throw new EverholdError(
      "EVH_REJECTED",
      `cannot send a message with ${request.headers.size} properties: at most ${limits.propertiesMax} are allowed`,
    );
  }
  const properties = new Map<string, TypedValue>();
  for (const [name, value] of request.headers) properties.set(name, { type: "string", value });
  // As its senders say it, so that every protocol knows what kind of message it is.
  const isAnycast = address.anycast.length > 0 || address.multicast.length === 0;
  properties.set(propertyNames.routingType, { type: "byte", value: isAnycast ? 1 : 0 });
  const isText = request.type === messageTypes.text;
  const writer = new ByteWriter();
  writeMessage(writer, {
    messageId: 0,
    address: to,
    userId: null,
    type: typeOf(request.type),
    durable: request.durable,
    expiration: 0,
    timestamp: engine.nowMs(),
    priority: defaultPriority,
    properties,
    body: isText ? encodeTextBody(request.body) : fromBase64(request.body ?? ""),
  });
  return String(sendOwn(engine, to, writer.toBytes()));
}

function typeOf(type: number): number {
  if (type === messageTypes.default || type === messageTypes.text || type === messageTypes.bytes) {
    return type;
  }
  throw new EverholdError(
    "EVH_REJECTED",
    `cannot send a message of type ${type}: expected 0 (default), 3 (text) or 4 (bytes)`,
  );
}

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** @throws EverholdError EVH_REJECTED when it is not Base64 */
function fromBase64(text: string): Uint8Array {
  const trimmed = text.replace(/={1,2}$/, "");
  const bytes = new Uint8Array(Math.floor((trimmed.length * 3) / 4));
  let bits = 0;
  let bitCount = 0;
  let length = 0;
  for (const digit of trimmed) {
    const value = digits.indexOf(digit);
    if (value < 0) {
      throw new EverholdError(
        "EVH_REJECTED",
        `cannot send the body: found "${digit}", expected Base64`,
      );
    }
    bits = ((bits << 6) | value) & 0xfff;
    bitCount += 6;
    if (bitCount < 8) continue;
    bitCount -= 8;
    bytes[length] = (bits >>> bitCount) & 0xff;
    length += 1;
  }
  return bytes;
}
