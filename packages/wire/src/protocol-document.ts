import { bytesMax, notationOf, type FieldTable } from "./field.ts";
import { protocolFingerprint } from "./fingerprint.ts";
import { messageHeaders } from "./message.ts";
import { limits } from "./limits.ts";
import { frameHeaderBytes, type PacketDefinition } from "./packet.ts";
import { administrationPackets } from "./packets/administration-packets.ts";
import { connectionPackets } from "./packets/connection-packets.ts";
import { everholdPackets } from "./packets/everhold-packets.ts";
import { messagePackets } from "./packets/message-packets.ts";
import { transactionPackets } from "./packets/transaction-packets.ts";
import { propertyNames } from "./property-names.ts";
import { valueTags } from "./typed-properties.ts";

/** The newest version of the protocol; sizes in the document are given for it. */
export const newestVersion = 136;

const introduction = `# The protocol

Everhold speaks CORE, the protocol of Apache ActiveMQ Artemis. This file is generated from the packet
definitions in \`packages/wire/src/packets\`; change those.

A connection begins with the seven bytes \`ARTEMIS\` from the client. Then both sides send frames:

\`\`\`
i32 length (of what follows) · u8 packet id · i64 channel · body
\`\`\`

Integers are big-endian. What a peer adds after the fields it knows is ignored.

| notation | bytes |
|---|---|
| \`u8 i8 u16 i32 i64\` | integers; an i64 is within ±(2^53 − 1) |
| \`bool\` | one byte, true is ff; any byte but 0 reads as true |
| \`flag\` | one byte, true is 01; any byte but 0 reads as true |
| \`S(n)\` | i32 byte length, UTF-16 little-endian; at most n characters |
| \`Str(n)\` | i32 character count, then below 9 characters UTF-16 big-endian, below 4095 u16 byte length and CESU-8, else an S; at most n characters |
| \`X?\` | 00, or 01 and X |
| \`X? (ff)\` | 00, or ff and X |
| \`i32 n, n × (X) (m)\` | a list of at most m |
| \`X since v\` | only from version v on |
| \`X, may be missing at the end\` | older peers end the packet before it |
| \`X or nothing\` | the last field, without a presence byte |
| \`X if f\`, \`X if not f\` | only when the boolean field f says so |
| \`TC parameters\` | i32 n, n × (Str name, u8 tag, value); tags 0 bool, 1 i32, 2 i64, 3 Str |
| \`TP\` | typed properties: 00, or 01, i32 n, n × (S name, u8 tag, value) |
| \`MSG\` | i32 body length + 13, body, HDR |
| \`HDR\` | message headers, see below |
`;

/** Renders `docs/PROTOCOL.md` from the definitions. */
export function protocolDocument(): string {
  const parts = [
    introduction,
    renderGroup("Connection", connectionPackets),
    renderGroup("Addresses, queues, sessions", administrationPackets),
    renderGroup("Messages", messagePackets),
    renderGroup("Transactions", transactionPackets),
    renderGroup("Between Everhold and Everhold", everholdPackets),
    renderMessage(),
    `## Fingerprint\n\n\`${protocolFingerprint()}\` stands for all of the layouts above.\n`,
  ];
  return parts.join("\n");
}

function renderGroup(title: string, group: Readonly<Record<string, PacketDefinition>>): string {
  const definitions = Object.values(group).toSorted((left, right) => left.id - right.id);
  const rows = definitions.map(
    (one) =>
      `| ${one.id} | ${hexByte(one.id)} | ${one.name} | ${one.direction} | ${one.channel} | ${one.counted} | ${sizeOf(one)} | ${one.doc} |`,
  );
  const bodies = definitions.map((one) => `**${one.name}** ${renderFields(one.body.fields)}\n`);
  return [
    `## ${title}\n`,
    "| id | hex | packet | sent by | channel | counted | bytes at most | what it says |",
    "|---|---|---|---|---|---|---|---|",
    ...rows,
    "",
    ...bodies,
  ].join("\n");
}

function renderFields(fields: FieldTable): string {
  const entries = Object.entries(fields);
  if (entries.length === 0) return "no fields";
  return entries.map(([name, field]) => `${name} \`${notationOf(field.shape)}\``).join(" · ");
}

function renderMessage(): string {
  const tags = Object.entries(valueTags).map(([type, tag]) => `${tag} ${type}`);
  const names = Object.values(propertyNames).map((name) => `\`${name}\``);
  return `## Message headers (HDR)

${renderFields(messageHeaders.fields)}

Tags of typed values: ${tags.join(", ")}.

Property names with a meaning: ${names.join(", ")}.
`;
}

function sizeOf(definition: PacketDefinition): string {
  const bytes = bytesMax(definition.body.shape, newestVersion);
  return bytes > limits.frameBytesMax ? "frame limit" : String(bytes + frameHeaderBytes);
}

function hexByte(value: number): string {
  return value.toString(16).padStart(2, "0");
}
