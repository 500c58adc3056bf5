import { EverholdError } from "@everhold/base";
import {
  ByteReader,
  ByteWriter,
  decodeTextBody,
  defaultPriority,
  encodeTextBody,
  messageTypes,
  propertyNames,
  readMessage,
  writeMessage,
  type CoreMessage,
  type TypedValue,
} from "@everhold/wire";

import { splitName } from "../engine/names.ts";
import type { Engine } from "../engine/engine.ts";
import { sendOwn } from "../engine/own-messages.ts";
import type { Session } from "../engine/session.ts";
import type { DeferredWork } from "../engine/waiters.ts";
import { limits } from "./limits.ts";
import type { Management, ManagementAnswer } from "./management.ts";
import { uuidText } from "./message-view.ts";
import type { ManagementValue } from "./operation.ts";

/**
 * Management by messages, as Artemis' clients and tools do it: a request goes to `activemq.management`
 * and names resource and operation in its properties, its body is a JSON array of arguments. The reply
 * goes where the request's `JMSReplyTo` says; its body is a JSON array of one element.
 * Source: Artemis, `ManagementServiceImpl.handleMessage`, `ManagementHelper`.
 *
 * A request is done when it arrives, also in a transaction; its reply belongs to the transaction.
 */
export class CoreRequests {
  readonly #engine: Engine;
  readonly #management: Management;

  constructor(engine: Engine, management: Management) {
    this.#engine = engine;
    this.#management = management;
  }

  /** Does what a message asks for and replies. @throws ProtocolError when the message cannot be read */
  receive(session: Session, bytes: Uint8Array): void {
    const request = readMessage(new ByteReader(bytes));
    const reply = new Reply(this.#engine, session, request);
    let answer: ManagementAnswer;
    try {
      answer = this.#do(request);
    } catch (error) {
      if (!EverholdError.is(error)) throw error;
      reply.fail(error);
      session.afterCommit(reply);
      return;
    }
    const { result, value } = answer;
    if (!(value instanceof Promise)) {
      reply.succeed(result, value);
      session.afterCommit(reply);
      return;
    }
    // The reply is released by the transaction, and goes out when the result is there, too.
    session.afterCommit(reply);
    value.then(
      (settled) => {
        reply.succeed(result, settled);
        reply.complete();
      },
      (error: unknown) => {
        reply.fail(asError(error));
        reply.complete();
      },
    );
  }

  #do(request: CoreMessage): ManagementAnswer {
    const resource = textOf(request, propertyNames.managementResource);
    const operation = textOf(request, propertyNames.managementOperation);
    const attribute = textOf(request, propertyNames.managementAttribute);
    if (resource === undefined) throw incomplete(propertyNames.managementResource);
    if (operation !== undefined) {
      return this.#management.invoke(resource, operation, readArguments(request.body));
    }
    if (attribute !== undefined) return this.#management.read(resource, attribute);
    throw incomplete(
      `${propertyNames.managementOperation} or ${propertyNames.managementAttribute}`,
    );
  }
}

/** A reply; it is sent once it has a content and has been run, which says that it may go. */
class Reply implements DeferredWork {
  readonly #engine: Engine;
  readonly #session: Session;
  readonly #to: string | undefined;
  readonly #correlation: TypedValue | undefined;
  #isReleased = false;
  /** What was done for the content is committed when everything before this position is. */
  #donePosition = 0;
  #content: { readonly isSuccess: boolean; readonly json: string | null } | undefined;

  constructor(engine: Engine, session: Session, request: CoreMessage) {
    this.#engine = engine;
    this.#session = session;
    this.#to = replyAddress(request);
    this.#correlation = correlationOf(request);
  }

  succeed(result: ManagementAnswer["result"], value: ManagementValue): void {
    const json = value === null ? null : JSON.stringify([forCore(result, value)]);
    const charsMax = this.#charsMax;
    if (json !== null && json.length > charsMax) {
      this.fail(
        new EverholdError(
          "EVH_REJECTED",
          `the result has ${json.length} characters, at most ${charsMax} are sent; ask for less`,
        ),
      );
    } else this.#content = { isSuccess: true, json };
  }

  fail(error: EverholdError): void {
    this.#engine.log.debug("A management request failed", {
      code: error.code,
      reason: error.message,
    });
    // What was asked for may be quoted in it, however long that is.
    const reason = error.message.slice(0, limits.failureCharsMax);
    this.#content = { isSuccess: false, json: JSON.stringify([reason]) };
  }

  /** The content came later; what was done for it must be committed before it may be told. */
  complete(): void {
    this.#donePosition = this.#engine.journal.endPosition;
    if (this.#isReleased) this.#session.sink.afterCommit(this);
    this.#engine.endStep();
  }

  run(): void {
    this.#isReleased = true;
    if (this.#content === undefined || this.#to === undefined || this.#engine.isHalted) return;
    if (this.#donePosition > this.#engine.journal.commitPosition) {
      // The request went on after its first step, and only that is committed.
      this.#session.sink.afterCommit(this);
      return;
    }
    // Who does not wait for it any more has taken the queue away; nothing is made for the reply.
    const { catalog } = this.#engine;
    const { address, queue, isQualified } = splitName(this.#to);
    if (catalog.findAddress(address) === undefined) return;
    if (isQualified && catalog.findQueue(queue) === undefined) return;
    try {
      sendOwn(this.#engine, this.#to, this.#encode(this.#to, this.#content));
    } catch (error) {
      if (!EverholdError.is(error)) throw error;
      this.#engine.log.warn("A reply to a management request was dropped", {
        address: this.#to,
        code: error.code,
        reason: error.message,
      });
    }
  }

  /** Characters of a result that a message has room for: two bytes each. */
  get #charsMax(): number {
    const bodyBytesMax = this.#engine.router.messageBytesMax - limits.replyOverheadBytes;
    return Math.min(limits.resultCharsMax, Math.floor(bodyBytesMax / 2));
  }

  #encode(
    to: string,
    content: { readonly isSuccess: boolean; readonly json: string | null },
  ): Uint8Array {
    const properties = new Map<string, TypedValue>([
      [propertyNames.managementSucceeded, { type: "boolean", value: content.isSuccess }],
    ]);
    if (this.#correlation !== undefined) {
      properties.set(propertyNames.correlationId, this.#correlation);
    }
    const writer = new ByteWriter();
    writeMessage(writer, {
      messageId: 0,
      address: to,
      userId: null,
      type: messageTypes.text,
      durable: false,
      expiration: 0,
      timestamp: this.#engine.nowMs(),
      priority: defaultPriority,
      properties,
      body: encodeTextBody(content.json),
    });
    return writer.toBytes();
  }
}

/** Structures are sent as text, and so is each field of a page: tools read them as texts. */
function forCore(result: ManagementAnswer["result"], value: ManagementValue): ManagementValue {
  if (result === "json") return JSON.stringify(value);
  if (result === "page") return JSON.stringify(value, pageFieldAsText);
  return value;
}

function pageFieldAsText(key: string, value: unknown): unknown {
  const isField = key !== "count" && (typeof value === "number" || typeof value === "boolean");
  return isField ? String(value) : value;
}

/** @throws EverholdError EVH_REJECTED when they are not a JSON array */
function readArguments(body: Uint8Array): readonly ManagementValue[] {
  let json: string | null;
  try {
    json = decodeTextBody(body);
  } catch (error) {
    throw wrongBody("the body is no text", error);
  }
  if (json === null) return [];
  if (json.length > limits.requestCharsMax) {
    throw wrongBody(`it has ${json.length} characters, at most ${limits.requestCharsMax} are read`);
  }
  try {
    const value: unknown = JSON.parse(json);
    if (isList(value)) return value;
  } catch (error) {
    throw wrongBody("the body is not JSON", error);
  }
  throw wrongBody("the body is JSON, but not an array");
}

/** What was JSON holds nothing but management values. */
function isList(value: unknown): value is readonly ManagementValue[] {
  return Array.isArray(value);
}

function wrongBody(what: string, cause?: unknown): EverholdError {
  return new EverholdError(
    "EVH_REJECTED",
    `cannot read the arguments: ${what}; expected a JSON array`,
    { cause },
  );
}

function incomplete(name: string): EverholdError {
  return new EverholdError(
    "EVH_REJECTED",
    `cannot do what is asked: the message has no text property ${name}`,
  );
}

function textOf(message: CoreMessage, name: string): string | undefined {
  const property = message.properties.get(name);
  return property?.type === "string" ? property.value : undefined;
}

/** Where the reply goes: JMS clients say which kind of destination it is, others only its name. */
function replyAddress(request: CoreMessage): string | undefined {
  return textOf(request, propertyNames.replyTo)?.replace(/^(?:temp-)?(?:queue|topic):\/\//, "");
}

/** The request's correlation id, else its user id as text. */
function correlationOf(request: CoreMessage): TypedValue | undefined {
  const found = request.properties.get(propertyNames.correlationId);
  if (found !== undefined && found.type !== "null") return found;
  return request.userId === null ? undefined : { type: "string", value: uuidText(request.userId) };
}

function asError(error: unknown): EverholdError {
  if (EverholdError.is(error)) return error;
  // A promise of a port: what it is about is in its cause.
  return new EverholdError("EVH_INTERNAL", `the request failed: ${String(error)}`, {
    cause: error,
  });
}
