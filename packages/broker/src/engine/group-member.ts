import {
  ByteReader,
  ByteWriter,
  decodeSimpleString,
  MessageScan,
  readMessage,
  scanMessage,
  writeMessage,
} from "@everhold/wire";

import { limits } from "../limits.ts";

/** `_AMQ_GROUP_SEQUENCE` of the last message of a group. Source: Artemis, `QueueImpl#handleMessageGroup`. */
const lastOfGroup = -1;

/** What one message says of its group. One holder serves all messages. */
export class GroupMember {
  readonly #scan = new MessageScan();

  /** Reads the message `MSG` at `start … end`, which is valid. */
  read(view: DataView, start: number, end: number): this {
    scanMessage(view, start, end, this.#scan);
    return this;
  }

  /** Whether the group ends with it: the next message of the group may go to another consumer. */
  get endsGroup(): boolean {
    return this.#scan.groupSequence === lastOfGroup;
  }

  /** The group's id, for people. */
  nameIn(bytes: Uint8Array): string {
    const { groupIdStart, groupIdEnd } = this.#scan;
    if (groupIdStart < 0) return "";
    const end = Math.min(groupIdEnd, groupIdStart + limits.groupNameCharsMax * 2);
    return decodeSimpleString(bytes, groupIdStart, end);
  }
}

/** The message at `bytes[start … end)` with the boolean property `name`, which is true. */
export function withFlag(bytes: Uint8Array, start: number, end: number, name: string): Uint8Array {
  const message = readMessage(new ByteReader(bytes.subarray(start, end)));
  const properties = new Map(message.properties);
  if (properties.size < limits.propertiesMax)
    properties.set(name, { type: "boolean", value: true });
  const writer = new ByteWriter(end - start + 64);
  writeMessage(writer, { ...message, properties });
  return writer.written();
}
