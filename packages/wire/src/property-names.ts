/**
 * Names of message properties that clients and brokers give a meaning.
 * Source: Artemis, `Message`, `FilterConstants`, `MessageUtil`; `_EVH_` names are Everhold's own.
 */
export const propertyNames = {
  /** byte: 0 multicast, 1 anycast. */
  routingType: "_AMQ_ROUTING_TYPE",
  /** string: the sender's client id or connection. */
  connectionId: "__AMQ_CID",
  /** string: where answers go. */
  replyTo: "JMSReplyTo",
  /** string or byte[]. */
  correlationId: "JMSCorrelationID",
  /** string. */
  jmsType: "JMSType",
  /** string: messages of one group go to one consumer. */
  groupId: "_AMQ_GROUP_ID",
  /** int. */
  groupSequence: "_AMQ_GROUP_SEQUENCE",
  /** string: the user that the broker knows the sender as. */
  validatedUser: "_AMQ_VALIDATED_USER",
  /** long: absolute time in ms before which the message is not delivered. */
  scheduledDelivery: "_AMQ_SCHED_DELIVERY",
  /** string or byte[]: a message whose id was seen before is dropped. */
  duplicateId: "_AMQ_DUPL_ID",
  /** byte[]: the duplicate id that a bridge between Artemis brokers gives; it stands before all others. */
  bridgeDuplicateId: "_AMQ_BRIDGE_DUP",
  /** string: the key of a last-value queue. */
  lastValueName: "_AMQ_LVQ_NAME",
  /** long: body size of a large message. */
  largeSize: "_AMQ_LARGE_SIZE",
  /** boolean: the body is deflated. */
  largeCompressed: "_AMQ_LARGE_COMPRESSED",
  /** string: the address before the broker moved the message. */
  originalAddress: "_AMQ_ORIG_ADDRESS",
  /** string: the queue before the broker moved the message. */
  originalQueue: "_AMQ_ORIG_QUEUE",
  /** long: the message id before the broker moved the message. */
  originalMessageId: "_AMQ_ORIG_MESSAGE_ID",
  /** byte: the routing type before the broker moved the message. */
  originalRoutingType: "_AMQ_ORIG_ROUTING_TYPE",
  /** long: when the message expired, in ms. */
  actualExpiry: "_AMQ_ACTUAL_EXPIRY",
  /** string: why the broker moved the message, a word: `attempts`, `rejected`, `administrator`, `expired`. */
  moveCause: "_EVH_CAUSE",
  /** string: why a message is a dead letter, for people. Source: ActiveMQ, `dlqDeliveryFailureCause`. */
  deliveryFailureCause: "dlqDeliveryFailureCause",
  /** long: when the broker received the message, in ms. */
  ingressTimestamp: "_AMQ_INGRESS_TIMESTAMP",
  /** long: marks the answer to SESS_FORCE_CONSUMER_DELIVERY. */
  forcedDeliverySequence: "_hornetq.forced.delivery.seq",
  /** byte[]: Everhold's producer mark where the application set its own duplicate id. */
  producerMark: "_EVH_SEQ",
  /** string: management, the resource that is asked. */
  managementResource: "_AMQ_ResourceName",
  /** string: management, the operation to call. */
  managementOperation: "_AMQ_OperationName",
  /** string: management, the attribute to read. */
  managementAttribute: "_AMQ_Attribute",
  /** boolean: management, whether the operation succeeded. */
  managementSucceeded: "_AMQ_OperationSucceeded",
  /** string: notifications, what happened. */
  notificationType: "_AMQ_NotifType",
  /** long: notifications, when it happened, in ms. */
  notificationTimestamp: "_AMQ_NotifTimestamp",
} as const;

/** What a message's body is. Source: Artemis, `Message`. */
export const messageTypes = {
  default: 0,
  object: 2,
  text: 3,
  bytes: 4,
  map: 5,
  stream: 6,
  embedded: 7,
  embeddedLarge: 8,
} as const;

/** The priority that messages have unless they say otherwise; 0 … 9. */
export const defaultPriority = 4;
