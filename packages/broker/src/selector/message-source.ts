import {
  ByteReader,
  decodeSimpleString,
  MessageScan,
  readProperties,
  scanMessage,
  type TypedValue,
} from "@everhold/wire";

import type { SelectorSource } from "./evaluate.ts";
import { opaque, type SelectorValue } from "./expression.ts";

const empty = new Uint8Array(0);

/**
 * What selectors can ask of one message. Nothing is decoded before it is asked for, properties only
 * when one of them is.
 *
 * Header names are Artemis' filter identifiers, into which Java clients translate JMS names; the JMS
 * names themselves work as well. Source: Artemis, `FilterConstants`, `SelectorTranslator`.
 */
export class MessageSource implements SelectorSource {
  readonly #scan = new MessageScan();
  readonly #reader = new ByteReader();
  #bytes: Uint8Array = empty;
  #view: DataView = new DataView(empty.buffer);
  #start = 0;
  #end = 0;
  #properties: ReadonlyMap<string, TypedValue> | undefined;

  /** Points the source at the message at `bytes[start … end)`. */
  reset(bytes: Uint8Array, view: DataView, start: number, end: number): this {
    this.#bytes = bytes;
    this.#view = view;
    this.#start = start;
    this.#end = end;
    this.#properties = undefined;
    scanMessage(view, start, end, this.#scan);
    return this;
  }

  valueOf(name: string): SelectorValue {
    const scan = this.#scan;
    switch (name) {
      case "AMQDurable":
        return scan.durable ? "DURABLE" : "NON_DURABLE";
      case "JMSDeliveryMode":
        return scan.durable ? "PERSISTENT" : "NON_PERSISTENT";
      case "AMQPriority":
      case "JMSPriority":
        return BigInt(scan.priority);
      case "AMQTimestamp":
      case "JMSTimestamp":
        return BigInt(scan.timestamp);
      case "AMQExpiration":
      case "JMSExpiration":
        return BigInt(scan.expiration);
      case "AMQSize":
        return BigInt(this.#end - this.#start);
      case "AMQUserID":
      case "JMSMessageID":
        return this.#userId();
      case "AMQAddress":
        return this.#text(scan.addressStart, scan.addressEnd);
      case "AMQGroupID":
      case "JMSXGroupID":
        return this.#text(scan.groupIdStart, scan.groupIdEnd);
      default:
        return selectorValue(this.#property(name));
    }
  }

  #property(name: string): TypedValue | undefined {
    if (this.#scan.propertyCount === 0) return undefined;
    if (this.#properties === undefined) {
      const { propertiesStart, propertiesEnd } = this.#scan;
      this.#reader.reset(this.#bytes, this.#view, propertiesStart, propertiesEnd);
      this.#properties = readProperties(this.#reader);
    }
    return this.#properties.get(name);
  }

  #text(start: number, end: number): string | undefined {
    return start < 0 ? undefined : decodeSimpleString(this.#bytes, start, end);
  }

  /** `ID:` and the 16 bytes as 8-4-4-4-12 hexadecimal digits. */
  #userId(): string | undefined {
    const start = this.#scan.userIdOffset;
    if (start < 0) return undefined;
    let text = "ID:";
    for (let index = 0; index < 16; index += 1) {
      if (index === 4 || index === 6 || index === 8 || index === 10) text += "-";
      text += (this.#bytes[start + index] ?? 0).toString(16).padStart(2, "0");
    }
    return text;
  }
}

function selectorValue(typed: TypedValue | undefined): SelectorValue {
  if (typed === undefined) return undefined;
  switch (typed.type) {
    case "null":
      return undefined;
    case "boolean":
    case "string":
    case "char":
      return typed.value;
    case "byte":
    case "short":
    case "int":
    case "long":
      return BigInt(typed.value);
    case "float":
    case "double":
      return typed.value;
    case "bytes":
      return opaque;
  }
}
