import { getterOf, managementTable, type ResourceTable } from "./management.ts";

const about = {
  broker: "`broker`",
  address: "`address.NAME`",
  queue: "`queue.NAME`",
  divert: "`divert.NAME`",
  acceptor: "`acceptor.NAME`; acceptors are named `core`, `core-2`, and so on",
} as const satisfies Readonly<Record<keyof typeof managementTable, string>>;

/** Everything that management offers, as Markdown. */
export function managementDocument(): string {
  const { broker, address, queue, divert, acceptor } = managementTable;
  return [
    introduction,
    ...section("broker", broker),
    ...section("address", address),
    ...section("queue", queue),
    ...section("divert", divert),
    ...section("acceptor", acceptor),
  ].join("\n");
}

function section<T>(kind: keyof typeof about, table: ResourceTable<T>): string[] {
  const operations = table.operations.map((operation) => {
    const signature = operation.parameters.map(({ name }) => name).join(", ");
    const parameters = operation.parameters
      .map(({ name, type, isNullable, doc }) => {
        return `\`${name}\` (${type}${isNullable ? " or null" : ""}): ${doc}`;
      })
      .join("<br>");
    return [`\`${operation.name}(${signature})\``, parameters, operation.result, operation.doc];
  });
  const attributes = table.attributes.map((attribute) => {
    return [`\`${attribute.name}\``, `\`${getterOf(attribute)}\``, attribute.result, attribute.doc];
  });
  return [
    `\n## ${kind.slice(0, 1).toUpperCase()}${kind.slice(1)}`,
    `\nResource ${about[kind]}.`,
    ...(operations.length === 0
      ? []
      : ["\n### Operations\n", ...rows(["Operation", "Parameters", "Result", "What"], operations)]),
    "\n### Attributes\n",
    ...rows(["Attribute", "As an operation", "Type", "What"], attributes),
  ];
}

function rows(heads: readonly string[], cells: readonly (readonly string[])[]): string[] {
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...cells.map(line)];
}

const introduction = `# Management

What can be asked of a running broker, and what it tells by itself. One table in the code holds all of
it; this page is made from that table. Names are those of Artemis wherever it has the same.

## By messages

Any client may send a message to the address \`activemq.management\`; no queue is needed. Its properties
say what is asked: \`_AMQ_ResourceName\` the resource, and either \`_AMQ_OperationName\` an operation or
\`_AMQ_Attribute\` an attribute. Its body is text: a JSON array of the arguments, or none. The reply goes
to the address that \`JMSReplyTo\` names, with the request's correlation id, else its message id, as
correlation id. \`_AMQ_OperationSucceeded\` says whether it was done; the body is a JSON array of one
element, the result, or why it was not done. Results of the types *json* and *page* are text within it.

A request is done when it arrives, also in a transaction; what it changes is durable before the reply
leaves. The reply belongs to the transaction: it is sent at the commit, and not after a rollback. A
request that comes twice, because its client sent it again after the connection broke, is done twice.
Whoever may log in may do all this.

What goes through a whole queue does so a bounded number of messages at a time, and serves clients in
between. It sees the messages that were there when it began, and none that a consumer holds.

## Counts

\`MessagesAdded\`, \`MessagesAcknowledged\`, \`MessagesExpired\` and \`MessagesKilled\` begin anew with each
start of the broker; what it finds in its queues then counts as added. Each message that was added was
acknowledged, expired, killed, or is still there; removed, moved and purged ones count as acknowledged.

## Notifications

Queues that are bound to the address \`activemq.notifications\` get a durable message without a body for
each of these. Its property \`_AMQ_NotifType\` says what happened, \`_AMQ_NotifTimestamp\` when. Nothing is
made while no such queue exists.

| Type | Properties |
| --- | --- |
| \`CONNECTION_CREATED\`, \`CONNECTION_DESTROYED\` | \`_AMQ_ConnectionName\`, \`_AMQ_RemoteAddress\` |
| \`SESSION_CREATED\`, \`SESSION_CLOSED\` | \`_AMQ_ConnectionName\`, \`_AMQ_User\`, \`_AMQ_SessionName\`, \`_AMQ_Client_ID\`, \`_AMQ_Protocol_Name\`, \`_AMQ_Address\`, \`_AMQ_Distance\` |
| \`CONSUMER_CREATED\`, \`CONSUMER_CLOSED\` | \`_AMQ_Address\`, \`_AMQ_ClusterName\`, \`_AMQ_RoutingName\`, \`_AMQ_Distance\`, \`_AMQ_FilterString\`, \`_AMQ_ConsumerCount\`, \`_AMQ_User\`, \`_AMQ_RemoteAddress\`, \`_AMQ_SessionName\`, \`_AMQ_Client_ID\`, \`_AMQ_ConsumerName\` |
| \`BINDING_ADDED\`, \`BINDING_REMOVED\` | \`_AMQ_Address\`, \`_AMQ_ClusterName\`, \`_AMQ_RoutingName\`, \`_AMQ_Distance\`, \`_AMQ_Binding_Type\`, \`_AMQ_Binding_ID\`, \`_AMQ_FilterString\` |
| \`ADDRESS_ADDED\`, \`ADDRESS_REMOVED\` | \`_AMQ_Address\`, \`_AMQ_Routing_Type\` |
| \`MESSAGE_EXPIRED\` | \`_AMQ_Address\`, \`_AMQ_Routing_Type\`, \`_AMQ_RoutingName\`, \`_AMQ_Message_ID\` |`;
