import {
  askedName,
  name,
  optionalAskedName,
  optionalAmount,
  optionalBoolean,
  optionalFilter,
  optionalInteger,
  optionalName,
} from "../core-fields.ts";
import { amount, boolean, i32, list, string, tail, u8 } from "../fields.ts";
import { limits } from "../limits.ts";
import { packet } from "../packet.ts";

const metadataText = string(limits.metadataCharactersMax);

const createQueueFields = {
  address: askedName,
  queueName: askedName,
  filter: optionalFilter,
  durable: boolean,
  temporary: boolean,
  requiresResponse: boolean,
} as const;

/** Attributes of a queue that came with later releases; old peers end their packets before them. */
const laterQueueAttributes = {
  lastValueKey: tail(optionalName, null),
  nonDestructive: tail(optionalBoolean, null),
  consumersBeforeDispatch: tail(optionalInteger, null),
  delayBeforeDispatch: tail(optionalAmount, null),
  groupRebalance: tail(optionalBoolean, null),
  groupBuckets: tail(optionalInteger, null),
  autoDelete: tail(optionalBoolean, null),
  autoDeleteDelay: tail(optionalAmount, null),
  autoDeleteMessageCount: tail(optionalAmount, null),
  groupFirstKey: tail(optionalName, null),
  ringSize: tail(optionalAmount, null),
  enabled: tail(optionalBoolean, null),
  groupRebalancePauseDispatch: tail(optionalBoolean, null),
} as const;

/** All attributes of a queue unsaid: whoever reads them takes the settings of the address. */
export const unsaidQueueAttributes = {
  exclusive: null,
  lastValue: null,
  lastValueKey: null,
  nonDestructive: null,
  consumersBeforeDispatch: null,
  delayBeforeDispatch: null,
  groupRebalance: null,
  groupBuckets: null,
  autoDelete: null,
  autoDeleteDelay: null,
  autoDeleteMessageCount: null,
  groupFirstKey: null,
  ringSize: null,
  enabled: null,
  groupRebalancePauseDispatch: null,
} as const;

const queueQueryResponseFields = {
  exists: boolean,
  durable: boolean,
  temporary: boolean,
  consumerCount: i32,
  messageCount: amount,
  filter: optionalFilter,
  address: optionalAskedName,
  name: optionalAskedName,
} as const;
const queueQueryResponseV2Fields = {
  ...queueQueryResponseFields,
  autoCreateQueues: boolean,
} as const;

const bindingQueryResponseFields = {
  exists: boolean,
  queueNames: list(name, limits.queueNameCountMax),
} as const;
const bindingQueryResponseV2Fields = {
  ...bindingQueryResponseFields,
  autoCreateQueues: boolean,
} as const;
const bindingQueryResponseV3Fields = {
  ...bindingQueryResponseV2Fields,
  autoCreateAddresses: boolean,
} as const;
const bindingQueryResponseV4Fields = {
  ...bindingQueryResponseV3Fields,
  defaultPurgeOnNoConsumers: boolean,
  defaultMaxConsumers: i32,
  defaultExclusive: tail(optionalBoolean, null),
  defaultLastValue: tail(optionalBoolean, null),
  defaultLastValueKey: tail(optionalName, null),
  defaultNonDestructive: tail(optionalBoolean, null),
  defaultConsumersBeforeDispatch: tail(optionalInteger, null),
  defaultDelayBeforeDispatch: tail(optionalAmount, null),
} as const;

/** Packets that create, delete and describe addresses, queues, producers and a session's metadata. */
export const administrationPackets = {
  createQueue: packet(
    34,
    {
      name: "CREATE_QUEUE",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Creates a queue (below 129)",
    },
    createQueueFields,
  ),
  deleteQueue: packet(
    35,
    {
      name: "DELETE_QUEUE",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Deletes a queue",
    },
    { queueName: askedName },
  ),
  createSharedQueue: packet(
    36,
    {
      name: "CREATE_SHARED_QUEUE",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Creates a shared subscription's queue (below 129)",
    },
    {
      address: askedName,
      queueName: askedName,
      filter: optionalFilter,
      durable: boolean,
      requiresResponse: boolean,
    },
  ),
  queueQuery: packet(
    45,
    {
      name: "SESS_QUEUEQUERY",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Asks about a queue",
    },
    { queueName: askedName },
  ),
  queueQueryResponse: packet(
    46,
    {
      name: "SESS_QUEUEQUERY_RESP",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "What a queue is like (below 126)",
    },
    queueQueryResponseFields,
  ),
  bindingQuery: packet(
    49,
    {
      name: "SESS_BINDINGQUERY",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Asks about an address",
    },
    { address: askedName },
  ),
  bindingQueryResponse: packet(
    50,
    {
      name: "SESS_BINDINGQUERY_RESP",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "Which queues an address has (below 126)",
    },
    bindingQueryResponseFields,
  ),
  addMetadata: packet(
    104,
    {
      name: "SESS_ADD_METADATA",
      direction: "client",
      channel: "session",
      counted: "no",
      doc: "Notes a pair on the session",
    },
    { key: metadataText, data: metadataText },
  ),
  addMetadataV2: packet(
    105,
    {
      name: "SESS_ADD_METADATA2",
      direction: "client",
      channel: "session",
      counted: "flag",
      doc: "As SESS_ADD_METADATA, with a choice of being answered",
    },
    { key: metadataText, data: metadataText, requiresConfirmation: boolean },
  ),
  addUniqueMetadata: packet(
    106,
    {
      name: "SESS_UNIQUE_ADD_METADATA",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Notes a pair that no other session may have, e.g. a client id",
    },
    { key: metadataText, data: metadataText, requiresConfirmation: boolean },
  ),
  queueQueryResponseV2: packet(
    249,
    {
      name: "SESS_QUEUEQUERY_RESP_V2",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "What a queue is like (126 to 128)",
    },
    queueQueryResponseV2Fields,
  ),
  bindingQueryResponseV2: packet(
    248,
    {
      name: "SESS_BINDINGQUERY_RESP_V2",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "Which queues an address has (126)",
    },
    bindingQueryResponseV2Fields,
  ),
  bindingQueryResponseV3: packet(
    246,
    {
      name: "SESS_BINDINGQUERY_RESP_V3",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "Which queues an address has (127 and 128)",
    },
    bindingQueryResponseV3Fields,
  ),
  createAddress: packet(
    245,
    {
      name: "CREATE_ADDRESS",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Creates an address, or adds routing types to it",
    },
    {
      address: askedName,
      routingTypes: list(u8, limits.routingTypeCountMax),
      requiresResponse: boolean,
      autoCreated: boolean,
    },
  ),
  createQueueV2: packet(
    244,
    {
      name: "CREATE_QUEUE_V2",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Creates a queue; null attributes take the address's settings",
    },
    {
      ...createQueueFields,
      autoCreated: boolean,
      routingType: u8,
      maxConsumers: i32,
      purgeOnNoConsumers: boolean,
      exclusive: tail(optionalBoolean, null),
      lastValue: tail(optionalBoolean, null),
      ...laterQueueAttributes,
    },
  ),
  createSharedQueueV2: packet(
    243,
    {
      name: "CREATE_SHARED_QUEUE_V2",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Creates a shared subscription's queue, or finds that it is there",
    },
    {
      address: askedName,
      queueName: askedName,
      filter: optionalFilter,
      durable: boolean,
      routingType: u8,
      requiresResponse: boolean,
      maxConsumers: tail(optionalInteger, null),
      purgeOnNoConsumers: tail(optionalBoolean, null),
      exclusive: tail(optionalBoolean, null),
      lastValue: tail(optionalBoolean, null),
      ...laterQueueAttributes,
    },
  ),
  queueQueryResponseV3: packet(
    242,
    {
      name: "SESS_QUEUEQUERY_RESP_V3",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "What a queue is like (since 129); also answers SESS_CREATECONSUMER",
    },
    {
      ...queueQueryResponseV2Fields,
      autoCreated: boolean,
      purgeOnNoConsumers: boolean,
      routingType: u8,
      maxConsumers: i32,
      exclusive: tail(optionalBoolean, null),
      lastValue: tail(optionalBoolean, null),
      defaultConsumerWindowSize: tail(optionalInteger, null),
      ...laterQueueAttributes,
      configurationManaged: tail(optionalBoolean, null),
    },
  ),
  bindingQueryResponseV4: packet(
    241,
    {
      name: "SESS_BINDINGQUERY_RESP_V4",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "Which queues an address has, and its defaults (129 to 134)",
    },
    bindingQueryResponseV4Fields,
  ),
  bindingQueryResponseV5: packet(
    234,
    {
      name: "SESS_BINDINGQUERY_RESP_V5",
      direction: "broker",
      channel: "session",
      counted: "yes",
      doc: "As V4, with the address's routing types (since 135)",
    },
    {
      ...bindingQueryResponseV4Fields,
      supportsMulticast: tail(boolean, false),
      supportsAnycast: tail(boolean, false),
    },
  ),
  createProducer: packet(
    236,
    {
      name: "CREATE_PRODUCER",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Names a producer, for people to see (since 134); never answered",
    },
    { producerId: i32, address: optionalName },
  ),
  removeProducer: packet(
    235,
    {
      name: "REMOVE_PRODUCER",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "The producer is closed (since 134); never answered",
    },
    { producerId: i32 },
  ),
  sessionStart: packet(
    67,
    {
      name: "SESS_START",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Deliveries may begin; never answered",
    },
    {},
  ),
  sessionStop: packet(
    68,
    {
      name: "SESS_STOP",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Deliveries end before the answer",
    },
    {},
  ),
  sessionClose: packet(
    69,
    {
      name: "SESS_CLOSE",
      direction: "client",
      channel: "session",
      counted: "yes",
      doc: "Ends the session; after the answer the channel is gone",
    },
    {},
  ),
} as const;

/** How an address hands out messages. Source: Artemis, `RoutingType`. */
export const routingTypes = { multicast: 0, anycast: 1, unspecified: 255 } as const;
