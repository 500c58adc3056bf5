import {
  ByteReader,
  decodeSimpleString,
  MessageScan,
  propertyNames,
  readProperties,
  scanMessage,
  type TypedValue,
} from "@everhold/wire";

import { causeText, causeWord, isDeadLetterCause, retriedCause } from "../engine/departures.ts";
import { diversionOf } from "../engine/diversion.ts";
import type { Provenance } from "../engine/provenance.ts";
import type { DivertRouting } from "../state/rules.ts";
import type { SelectorSource } from "./evaluate.ts";
import { Approximate, opaque, type SelectorValue } from "./expression.ts";

const empty = new Uint8Array(0);

/** Marks a name that was looked for and is not there. */
const missing = Symbol("missing");

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
  /** What was asked for before, of this message. */
  readonly #known = new Map<string, SelectorValue | typeof missing>();
  #properties: ReadonlyMap<string, TypedValue> | undefined;
  #moved: Provenance | undefined;
  /** What `JMSXDeliveryCount` is; 0 where nobody is told one. */
  deliveryCount = 0;

  /** Points the source at the message at `bytes[start … end)`, which may have been `moved`. */
  reset(bytes: Uint8Array, view: DataView, start: number, end: number, moved?: Provenance): this {
    this.#bytes = bytes;
    this.#view = view;
    this.#start = start;
    this.#end = end;
    if (this.#known.size > 0) this.#known.clear();
    this.#properties = undefined;
    this.deliveryCount = 0;
    scanMessage(view, start, end, this.#scan);
    this.#moved = moved === undefined || this.#isAsSent(moved) ? undefined : moved;
    return this;
  }

  valueOf(name: string): SelectorValue {
    const known = this.#known.get(name);
    if (known !== undefined) return known === missing ? undefined : known;
    const value =
      this.#moved === undefined ? this.#valueAsSent(name) : this.#valueOfMoved(name, this.#moved);
    this.#known.set(name, value ?? missing);
    return value;
  }

  /** What differs when it is delivered from where it was moved to; the same as `movedMessage` writes. */
  #valueOfMoved(name: string, moved: Provenance): SelectorValue {
    const { expiration, messageId } = this.#scan;
    if (moved.cause === retriedCause) {
      const isExpiration = name === "AMQExpiration" || name === "JMSExpiration";
      return isExpiration && moved.isFinal ? 0n : this.#valueAsSent(name);
    }
    switch (name) {
      case "AMQAddress":
        return moved.addressName;
      case "AMQExpiration":
      case "JMSExpiration":
        return moved.isFinal ? 0n : BigInt(expiration);
      case propertyNames.originalAddress:
        return this.#address();
      case propertyNames.originalQueue:
        return moved.originQueue === "" ? this.#valueAsSent(name) : moved.originQueue;
      case propertyNames.originalMessageId:
        return BigInt(messageId);
      case propertyNames.originalRoutingType:
        return this.#valueAsSent(propertyNames.routingType);
      case propertyNames.routingType:
        return this.#divertedType(diversionOf(moved.cause)?.routing);
      case propertyNames.actualExpiry:
        return moved.isFinal && expiration !== 0 && !isDeadLetterCause(moved.cause)
          ? BigInt(expiration)
          : this.#valueAsSent(name);
      case propertyNames.moveCause:
        return moved.cause === "" || diversionOf(moved.cause) !== undefined
          ? this.#valueAsSent(name)
          : causeWord(moved.cause);
      case propertyNames.deliveryFailureCause:
        return isDeadLetterCause(moved.cause) ? causeText(moved.cause) : this.#valueAsSent(name);
      default:
        return this.#valueAsSent(name);
    }
  }

  /** A message that was moved has no routing type, one that was diverted what the divert gives it. */
  #divertedType(routing: DivertRouting | undefined): SelectorValue {
    if (routing === "pass") return this.#valueAsSent(propertyNames.routingType);
    if (routing === "anycast") return 1;
    return routing === "multicast" ? 0 : undefined;
  }

  #valueAsSent(name: string): SelectorValue {
    const scan = this.#scan;
    switch (name) {
      case "AMQDurable":
        return scan.durable ? "DURABLE" : "NON_DURABLE";
      case "JMSDeliveryMode":
        return scan.durable ? "PERSISTENT" : "NON_PERSISTENT";
      case "AMQPriority":
      case "JMSPriority":
        return scan.priority;
      case "AMQTimestamp":
      case "JMSTimestamp":
        return BigInt(scan.timestamp);
      case "AMQExpiration":
      case "JMSExpiration":
        return BigInt(scan.expiration);
      case "AMQSize":
        return this.#end - this.#start;
      case "AMQUserID":
      case "JMSMessageID":
        return this.#userId();
      case "AMQAddress":
        return this.#address();
      case "AMQGroupID":
      case "JMSXGroupID":
        return this.#text(scan.groupIdStart, scan.groupIdEnd);
      case "JMSXGroupSeq":
        return selectorValue(this.#property(propertyNames.groupSequence));
      case "JMSXDeliveryCount":
        return this.deliveryCount === 0 ? undefined : this.deliveryCount;
      case "JMSXUserID":
        return selectorValue(this.#property(propertyNames.validatedUser));
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

  #isAsSent({ originQueue, addressName, cause }: Provenance): boolean {
    if (cause === retriedCause) return false;
    const address = this.#address();
    return address === undefined || (originQueue === "" && address === addressName);
  }

  #address(): string | undefined {
    return this.#text(this.#scan.addressStart, this.#scan.addressEnd);
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
      return typed.value;
    case "long":
      return BigInt(typed.value);
    case "float":
    case "double":
      return new Approximate(typed.value, typed.type === "float");
    case "bytes":
      return opaque;
  }
}
