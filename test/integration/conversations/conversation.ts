import { packetById } from "@everhold/wire";

/** Who took part in a conversation, and what about. */
export interface ConversationHeader {
  /** E.g. `jakarta-2.44`. */
  readonly client: string;
  /** E.g. `artemis-2.44.0`. */
  readonly broker: string;
  readonly scenario: string;
  /** The protocol version that the two settled on. */
  readonly version: number;
}

/** One frame, or the end of a connection by one side, in the order in which a proxy between the two saw them. */
export interface ConversationEvent {
  /** Connections are counted from 0. */
  readonly connection: number;
  readonly from: "client" | "broker";
  /** The whole frame, its length included; `undefined` for the end of the connection. */
  readonly frame: Uint8Array | undefined;
}

/** What client and broker said to each other. Each connection begins with the client's magic, which is left out. */
export interface Conversation extends ConversationHeader {
  readonly events: readonly ConversationEvent[];
}

const firstLine = "# everhold conversation 1";
const headerKeys = ["client", "broker", "scenario", "version"] as const;
/** Shorter runs of one byte are not worth a notation. */
const runBytesMin = 8;
const endName = "end";

/**
 * The conversation as a file: a header, then a line for each event: connection, direction, name of the
 * packet for people, and the frame in hexadecimal, where `(00*20)` stands for twenty bytes 00.
 */
export function formatConversation(conversation: Conversation): string {
  const lines = [firstLine, ...headerKeys.map((key) => `# ${key} ${conversation[key]}`)];
  for (const { connection, from, frame } of conversation.events) {
    const direction = `${connection} ${from === "client" ? ">" : "<"}`;
    lines.push(
      frame === undefined
        ? `${direction} ${endName}`
        : `${direction} ${packetNameOf(frame)} ${formatBytes(frame)}`,
    );
  }
  return `${lines.join("\n")}\n`;
}

/** @throws Error naming the line that is no event */
export function parseConversation(text: string): Conversation {
  const [first, ...lines] = text.trimEnd().split("\n");
  if (first !== firstLine) throw new Error(`cannot read a conversation: found "${first ?? ""}"`);
  const header = new Map<string, string>();
  const events: ConversationEvent[] = [];
  for (const line of lines) {
    const [, key, value] = /^# (\w+) (.*)$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined) header.set(key, value);
    else events.push(parseEvent(line));
  }
  return {
    client: header.get("client") ?? "",
    broker: header.get("broker") ?? "",
    scenario: header.get("scenario") ?? "",
    version: Number(header.get("version")),
    events,
  };
}

/** The name of a frame's packet. */
export function packetNameOf(frame: Uint8Array): string {
  const id = frame[4] ?? 0;
  return packetById(id)?.name ?? `PACKET_${id}`;
}

/** The channel of a frame. */
export function channelOf(frame: Uint8Array): number {
  return Number(new DataView(frame.buffer, frame.byteOffset).getBigInt64(5));
}

function parseEvent(line: string): ConversationEvent {
  const [, connection, direction, name, hex] =
    /^(\d+) ([<>]) (\w+)(?: ([\da-f()*]+))?$/.exec(line) ?? [];
  if (connection === undefined) throw new Error(`cannot read a conversation: found "${line}"`);
  return {
    connection: Number(connection),
    from: direction === ">" ? "client" : "broker",
    frame: name === endName ? undefined : parseBytes(hex ?? ""),
  };
}

function formatBytes(bytes: Uint8Array): string {
  let text = "";
  for (let start = 0; start < bytes.length;) {
    let end = start + 1;
    while (end < bytes.length && bytes[end] === bytes[start]) end += 1;
    const digits = (bytes[start] ?? 0).toString(16).padStart(2, "0");
    const count = end - start;
    text += count < runBytesMin ? digits.repeat(count) : `(${digits}*${count})`;
    start = end;
  }
  return text;
}

function parseBytes(text: string): Uint8Array {
  const digits = text.replaceAll(/\(([\da-f]{2})\*(\d+)\)/g, (_, byte: string, count: string) =>
    byte.repeat(Number(count)),
  );
  return new Uint8Array(Buffer.from(digits, "hex"));
}
