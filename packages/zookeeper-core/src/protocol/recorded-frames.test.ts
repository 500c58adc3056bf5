/** What real servers were asked and have answered, frame by frame; `npm run zookeeper -- frames` checks that they still do. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fromHex } from "@everhold/test-world";
import { ByteReader, type Field, readValue } from "@everhold/wire";
import { bytesOf } from "../testing/bytes.test-support.ts";
import { connectRequest, readHandshakeReply } from "./handshake.ts";
import { replyHeader, requestHeader, specialXids } from "./headers.ts";
import { operations, type OperationOf } from "./operations.ts";
import { watcherEvent } from "./watch-events.ts";

const folder = new URL("../../testdata/", import.meta.url);
const byCode = new Map(
  Object.values<OperationOf<unknown, unknown>>(operations).map((one) => [one.code, one]),
);

for (const name of readdirSync(folder).filter((one) => one.startsWith("frames-"))) {
  describe(name, () => {
    for (const block of blocksIn(readFileSync(new URL(name, folder), "utf8"))) {
      test(`${block.name} reads, and writes the same bytes again`, () => {
        /** Codes of the requests that wait for their answer, by xid. */
        const codes = new Map<number, number>();
        for (const { isRequest, bytes } of block.frames) {
          if (block.name.startsWith("handshake")) checkHandshake(isRequest, bytes);
          else if (isRequest) checkRequest(bytes, codes);
          else checkReply(bytes, codes);
        }
      });
    }
  });
}

function checkHandshake(isRequest: boolean, bytes: Uint8Array): void {
  if (isRequest) checkSame(connectRequest, new ByteReader(bytes, { strict: true }));
  else assert.equal(readHandshakeReply(new ByteReader(bytes)).kind, "response");
}

function checkRequest(bytes: Uint8Array, codes: Map<number, number>): void {
  const reader = new ByteReader(bytes);
  const { xid, code } = requestHeader.read(reader, 0);
  codes.set(xid, code);
  const operation = byCode.get(code);
  if (operation !== undefined) checkSame(operation.request, reader);
}

function checkReply(bytes: Uint8Array, codes: ReadonlyMap<number, number>): void {
  const reader = new ByteReader(bytes);
  const { xid, errorCode } = replyHeader.read(reader, 0);
  if (xid === specialXids.notification) return checkSame(watcherEvent, reader);
  const operation = byCode.get(codes.get(xid) ?? 0);
  if (errorCode === 0 && operation !== undefined) checkSame(operation.reply, reader);
  else if (errorCode !== 0) assert.equal(reader.remaining, 0);
}

/** The rest of what `reader` has is one value, and is written just so. */
function checkSame(field: Field<unknown>, reader: ByteReader): void {
  const rest = reader.bytes.slice(reader.offset);
  const value = readValue(field, new ByteReader(rest, { strict: true }), "the frame");
  assert.deepEqual(bytesOf(field, value), rest);
}

interface Block {
  readonly name: string;
  readonly frames: { readonly isRequest: boolean; readonly bytes: Uint8Array }[];
}

function blocksIn(text: string): Block[] {
  const blocks: Block[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("# ")) blocks.push({ name: line.slice(2), frames: [] });
    const bytes = fromHex(line.slice(2));
    if (/^[<>] /.test(line)) blocks.at(-1)?.frames.push({ isRequest: line[0] === ">", bytes });
  }
  return blocks;
}
