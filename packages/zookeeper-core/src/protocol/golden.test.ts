/** Bytes that a real ZooKeeper 3.8.0 has sent or accepted. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHex } from "@everhold/test-world";
import { ByteReader } from "@everhold/wire";
import { bytesOf, hexOf, valueIn } from "../testing/bytes.test-support.ts";
import { connectRequest, connectResponse, readHandshakeReply } from "./handshake.ts";
import { replyHeader, requestHeader } from "./headers.ts";
import { multiReply, multiRequest } from "./multi.ts";
import { operations } from "./operations.ts";
import { pathAndVersion } from "./records.ts";
import { stat } from "./stat.ts";

test("the first frame of a new session has 45 bytes, and 44 without its end", () => {
  const request = {
    protocolVersion: 0,
    lastZxidSeen: 0n,
    timeoutMs: 4000,
    sessionId: 0n,
    password: new Uint8Array(16),
    readOnly: false,
  };
  const bytes = bytesOf(connectRequest, request);
  assert.equal(
    Buffer.from(bytes).toString("hex"),
    `00000000${"00".repeat(8)}00000fa0${"00".repeat(8)}00000010${"00".repeat(16)}00`,
  );
  assert.deepEqual(valueIn(connectRequest, bytes.slice(0, 44)), request);
});

test("a handshake's answer gives session, password and timeout", () => {
  const bytes = fromHex(
    "00000000 00000fa0 0100000fa3780000 00000010 fa784163ff4f9e3468f55b2ce0352583 00",
  );
  assert.equal(bytes.length, 37);
  const response = {
    protocolVersion: 0,
    timeoutMs: 4000,
    sessionId: 0x0100000fa3780000n,
    password: fromHex("fa784163ff4f9e3468f55b2ce0352583"),
    readOnly: false,
  };
  assert.deepEqual(readHandshakeReply(new ByteReader(bytes)), { kind: "response", response });
  assert.deepEqual(bytesOf(connectResponse, response), bytes);
});

test("an answer to a handshake that is as long as a header is a refusal", () => {
  const bytes = fromHex("00000000 0000000000000005 ffffff89");
  assert.deepEqual(readHandshakeReply(new ByteReader(bytes)), {
    kind: "refused",
    header: { xid: 0, zxid: 5n, errorCode: -119 },
  });
});

test("a session that the server does not know is answered with zeros", () => {
  const bytes = fromHex(`00000000 00000000 ${"00".repeat(8)} 00000010 ${"00".repeat(16)} 00`);
  const reply = readHandshakeReply(new ByteReader(bytes));
  assert.equal(reply.kind === "response" && reply.response.sessionId, 0n);
});

test("a session with a password of the wrong length is refused", () => {
  const bytes = fromHex("00000000 00000fa0 0100000fa3780000 00000004 fa784163 00");
  assert.throws(() => readHandshakeReply(new ByteReader(bytes)), /password of 4 bytes/);
});

test("headers have 8 and 16 bytes", () => {
  assert.equal(hexOf(requestHeader, { xid: -2, code: 11 }), "fffffffe0000000b");
  assert.equal(
    hexOf(replyHeader, { xid: 1, zxid: 0x1_0000_0002n, errorCode: -101 }),
    "000000010000000100000002ffffff9b",
  );
});

test("a stat has 68 bytes", () => {
  const value = {
    czxid: 1n,
    mzxid: 2n,
    ctime: 1_763_800_000_000,
    mtime: 1_763_800_000_001,
    version: 3,
    cversion: 4,
    aversion: 5,
    ephemeralOwner: -1n,
    dataLength: 6,
    numChildren: 7,
    pzxid: 8n,
  };
  const bytes = bytesOf(stat, value);
  assert.equal(bytes.length, 68);
  assert.deepEqual(valueIn(stat, bytes), value);
});

test("a multi that failed has an error for each part, and 0 before the one that is to blame", () => {
  const bytes = fromHex(
    "ffffffff 00 00000000 00000000 | ffffffff 00 ffffff9b ffffff9b | ffffffff 00 fffffffe fffffffe | ffffffff 01 ffffffff",
  );
  const results = [0, -101, -2].map((errorCode) => ({ kind: "error", errorCode }) as const);
  assert.deepEqual(valueIn(multiReply, bytes), results);
  assert.deepEqual(bytesOf(multiReply, results), bytes);
});

test("an empty multi is its end mark", () => {
  assert.equal(hexOf(multiRequest, []), "ffffffff01ffffffff");
});

test("a check inside a multi is its header and its body", () => {
  const body = { path: "/a", version: -1 };
  assert.equal(
    hexOf(multiRequest, [{ kind: "check", ...body }]),
    `0000000d00ffffffff${hexOf(pathAndVersion, body)}ffffffff01ffffffff`,
  );
});

test("a part of an unknown type is refused", () => {
  const bytes = fromHex("0000004d 00 ffffffff 00000000 ffffffff 01 ffffffff");
  assert.throws(() => valueIn(multiReply, bytes), { code: "EVH_PROTOCOL" });
  assert.throws(() => valueIn(multiRequest, bytes), { code: "EVH_PROTOCOL" });
});

test("data that is null and data that is empty are told apart", () => {
  const { request } = operations.setData;
  assert.equal(
    hexOf(request, { path: "/a", data: null, version: -1 }),
    "000000022f61ffffffffffffffff",
  );
  assert.equal(
    hexOf(request, { path: "/a", data: new Uint8Array(0), version: -1 }),
    "000000022f6100000000ffffffff",
  );
});

test("a list of access entries that is null reads as empty", () => {
  const bytes = fromHex("000000022f61 ffffffff ffffffff 00000000");
  assert.deepEqual(valueIn(operations.create2.request, bytes), {
    path: "/a",
    data: null,
    acl: [],
    flags: 0,
  });
});

test("a name with a byte order mark or bytes that are no UTF-8 does not end the reading", () => {
  const { reply } = operations.getChildren;
  assert.deepEqual(valueIn(reply, fromHex("00000002 00000004 efbbbf61 00000002 61ff")), {
    children: ["\uFEFFa", "a\uFFFD"],
  });
});

test("counts and lengths that lie allocate nothing", () => {
  const { reply } = operations.getChildren;
  for (const hex of ["7fffffff", "40000000 00000000", "fffffffe", "00000001 7fffffff 61"]) {
    assert.throws(() => valueIn(reply, fromHex(hex)), { code: "EVH_PROTOCOL" });
  }
  for (const hex of ["7fffffff 61", "fffffffe"]) {
    assert.throws(() => valueIn(operations.sasl.reply, fromHex(hex)), { code: "EVH_PROTOCOL" });
  }
});

test("no two operations have a number, and none has that of check", () => {
  const codes = Object.values(operations).map(({ code }) => code);
  assert.equal(new Set(codes).size, codes.length);
  assert.equal(new Set<number>(codes).has(13), false);
});
