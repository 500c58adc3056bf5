import { askedName, correlationId, name, noCorrelation, optionalFilter } from "../core-fields.ts";
import { bytesMax } from "../field.ts";
import { amount, blob, boolean, i32, i64, rest, since } from "../fields.ts";
import { limits } from "../limits.ts";
import { packet } from "../packet.ts";
import { struct, when } from "../struct.ts";

/** What follows the message in SESS_SEND: 1, 9 or 13 bytes by version. */
export const sendTrailer = struct({
  requiresResponse: boolean,
  correlationId: since(130, correlationId, noCorrelation),
  senderId: since(134, i32, 0),
});

/** What follows the message in SESS_RECEIVE_MSG: 12 bytes. */
export const receiveTrailer = struct({ consumerId: i64, deliveryCount: i32 });

/** Bytes after the message in SESS_SEND at `version`. */
export function sendTrailerBytes(version: number): number {
  return bytesMax(sendTrailer.shape, version);
}

const credits = { credits: i32, address: name } as const;
const acknowledge = { consumerId: i64, messageId: i64, requiresResponse: boolean } as const;

/** Packets that carry messages, acknowledge them and say how many more may come. */
export const messagePackets = {
  createConsumer: packet(
    40,
    {
      name: "SESS_CREATECONSUMER",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Opens a consumer under an id that the client chose; answered by SESS_QUEUEQUERY_RESP_V3",
    },
    {
      consumerId: i64,
      queueName: askedName,
      filter: optionalFilter,
      browseOnly: boolean,
      requiresResponse: boolean,
      priority: since(130, i32, 0),
    },
  ),
  acknowledge: packet(
    41,
    {
      name: "SESS_ACKNOWLEDGE",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Everything delivered to the consumer up to this message is done with",
    },
    acknowledge,
  ),
  expired: packet(
    42,
    {
      name: "SESS_EXPIRED",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "The message had expired when the client looked at it; never answered",
    },
    { consumerId: i64, messageId: i64 },
  ),
  flowToken: packet(
    70,
    {
      name: "SESS_FLOWTOKEN",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "More bytes may be delivered; -1 without limit, 0 none from now on; never answered",
    },
    { consumerId: i64, credits: i32 },
  ),
  send: packet(
    71,
    {
      name: "SESS_SEND",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "A message for its address",
    },
    {
      message: rest("MSG", sendTrailerBytes, sendTrailer.shape),
      ...sendTrailer.fields,
    },
  ),
  sendLarge: packet(
    72,
    {
      name: "SESS_SEND_LARGE",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "The headers of a message whose body follows in parts; never answered",
    },
    { headers: rest("HDR") },
  ),
  sendContinuation: packet(
    73,
    {
      name: "SESS_SEND_CONTINUATION",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "A part of the body; the last one says how large the body is",
    },
    {
      part: blob(limits.valueBytesMax),
      continues: boolean,
      messageBodySize: when("continues", false, amount),
      ...sendTrailer.fields,
    },
  ),
  consumerClose: packet(
    74,
    {
      name: "SESS_CONSUMER_CLOSE",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Closes a consumer; what it did not acknowledge goes back to its queue",
    },
    { consumerId: i64 },
  ),
  receive: packet(
    75,
    {
      name: "SESS_RECEIVE_MSG",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "A message for a consumer; the first delivery counts 1",
    },
    {
      message: rest("MSG", () => 12, receiveTrailer.shape),
      ...receiveTrailer.fields,
    },
  ),
  receiveLarge: packet(
    76,
    {
      name: "SESS_RECEIVE_LARGE_MSG",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "The headers of a message whose body follows in parts",
    },
    { consumerId: i64, deliveryCount: i32, largeMessageSize: amount, headers: rest("HDR") },
  ),
  receiveContinuation: packet(
    77,
    {
      name: "SESS_RECEIVE_CONTINUATION",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "A part of the body",
    },
    { part: blob(limits.valueBytesMax), continues: boolean, consumerId: i64 },
  ),
  forceConsumerDelivery: packet(
    78,
    {
      name: "SESS_FORCE_CONSUMER_DELIVERY",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Asks for a marker message once all that can be delivered has been",
    },
    { consumerId: i64, sequence: i64 },
  ),
  producerRequestCredits: packet(
    79,
    {
      name: "SESS_PRODUCER_REQUEST_CREDITS",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Asks to be allowed to send so many more bytes to an address",
    },
    credits,
  ),
  producerCredits: packet(
    80,
    {
      name: "SESS_PRODUCER_CREDITS",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "Allows it",
    },
    credits,
  ),
  individualAcknowledge: packet(
    81,
    {
      name: "SESS_INDIVIDUAL_ACKNOWLEDGE",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "This one message is done with",
    },
    acknowledge,
  ),
  producerFailCredits: packet(
    82,
    {
      name: "SESS_PRODUCER_FAIL_CREDITS",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "The address is full: the waiting send fails",
    },
    credits,
  ),
} as const;
