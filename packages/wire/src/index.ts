/** Layer 1: CORE packets, frames and messages, each defined once as data. */
export { bytesEqual, hashBytes } from "./address-bytes.ts";
export {
  ByteReader,
  i64At,
  saturatedI64At,
  setI64At,
  type ByteReaderOptions,
} from "./byte-reader.ts";
export { ByteWriter } from "./byte-writer.ts";
export {
  connector,
  connectorParameters,
  correlationId,
  name,
  nameString,
  nettyConnectorFactory,
  noCorrelation,
  optionalAmount,
  optionalBoolean,
  optionalFilter,
  optionalInteger,
  optionalName,
  optionalNameString,
  optionalText,
  xid,
  type ConnectorParameter,
} from "./core-fields.ts";
export {
  bytesMax,
  bytesMin,
  notationOf,
  type Field,
  type FieldTable,
  type NamedShape,
  type Shape,
  type ValueOf,
} from "./field.ts";
export {
  amount,
  blob,
  boolean,
  bytes,
  counter,
  f64,
  flag,
  i32,
  i64,
  i8,
  list,
  long,
  maybe,
  nullable,
  optional,
  rest,
  simpleString,
  since,
  string,
  tail,
  u16,
  u32,
  u8,
} from "./fields.ts";
export { FrameReader, type FrameReaderOptions, type FrameSink } from "./frame-reader.ts";
export {
  AcknowledgeFrame,
  FlowTokenFrame,
  readAcknowledge,
  readFlowToken,
  readNullResponse,
  writeAcknowledge,
  writeFlowToken,
  writeNullResponse,
} from "./frames/control-frames.ts";
export {
  readReceive,
  ReceiveFrame,
  receiveFrameBytes,
  writeReceive,
} from "./frames/receive-frame.ts";
export { readSend, SendFrame, writeSend } from "./frames/send-frame.ts";
export { limitNotes, limits } from "./limits.ts";
export {
  decodeMapBody,
  decodeObjectBody,
  decodeStreamBody,
  decodeTextBody,
  encodeMapBody,
  encodeObjectBody,
  encodeStreamBody,
  encodeTextBody,
} from "./message-body.ts";
export { MessageScan, scanHeaders, scanMessage } from "./message-scan.ts";
export {
  headersBytes,
  messageBytes,
  messageHeaders,
  readHeaders,
  readMessage,
  writeHeaders,
  writeMessage,
  type CoreMessage,
  type MessageHeaders,
} from "./message.ts";
export {
  beginFrame,
  channelIdAt,
  decodePacket,
  encodePacket,
  endFrame,
  frameHeaderBytes,
  isCounted,
  packet,
  packetIdAt,
  readPacketHeader,
  type PacketChannel,
  type PacketCounted,
  type PacketDefinition,
  type PacketDescription,
  type PacketDirection,
  type PacketHeader,
  type PacketOf,
} from "./packet.ts";
export { routingTypes, unsaidQueueAttributes } from "./packets/administration-packets.ts";
export { disconnectReasons } from "./packets/connection-packets.ts";
export {
  commitAnswers,
  outcomes,
  resumeKinds,
  resumeResults,
  settleActions,
  unsaidDelay,
} from "./packets/everhold-packets.ts";
export { packetById, packets, type PacketName } from "./packets/packets.ts";
export {
  encodeProducerMark,
  isProducerMark,
  parseProducerMark,
  producerIdBytes,
  producerMarkBytes,
  producerMarkEpoch,
  producerMarkIdOffset,
  producerMarkSequence,
  writeProducerMark,
  type ProducerMark,
} from "./producer-mark.ts";
export { defaultPriority, messageTypes, propertyNames } from "./property-names.ts";
export { foreignProtocolOf, magicBytes } from "./protocol-detection.ts";
export { readValue, struct, when, writeValue, type Struct } from "./struct.ts";
export { decodeSimpleString, encodeSimpleString } from "./text-codec.ts";
export {
  propertiesBytes,
  readProperties,
  typedProperties,
  valueTags,
  writeProperties,
  type TypedProperties,
  type TypedValue,
} from "./typed-properties.ts";
export { fingerprintOf, protocolFingerprint } from "./fingerprint.ts";
export { newestVersion, protocolDocument } from "./protocol-document.ts";
