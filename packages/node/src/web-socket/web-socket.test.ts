import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { afterEach, describe, it } from "node:test";
import { deferred } from "@everhold/base";
import { limits } from "../limits.ts";
import { Acceptor, allOf, frame, handshake, host } from "./web-socket.test-support.ts";

const binary = 2;
const text = (value: string): Buffer => Buffer.from(value);

describe("an acceptor that takes WebSockets", () => {
  let acceptor = new Acceptor();

  afterEach(async () => {
    await acceptor.close();
    acceptor = new Acceptor();
  });

  it("carries bytes both ways, gives buffers back, and ends in order", async () => {
    await acceptor.open();
    const near = await acceptor.connect();
    const question = Uint8Array.of(1, 2, 3);
    near.link.send(question);
    const far = acceptor.side();
    assert.deepEqual([...(await far.gets(3))], [1, 2, 3]);
    far.link.send(Uint8Array.of(4));
    far.link.end();
    assert.deepEqual([...(await near.gets(1))], [4]);
    assert.equal(await near.closed.promise, undefined);
    assert.equal(await far.closed.promise, undefined);
    assert.equal(near.sent[0], question);
    assert.deepEqual(acceptor.lines, []);
  });

  it("carries what is larger than a message in several, and lets go of it once", async () => {
    await acceptor.open();
    const near = await acceptor.connect();
    const bytes = randomBytes(3 * limits.webSocketMessageBytesMax + 1);
    near.link.send(bytes);
    const far = acceptor.side();
    assert.ok((await far.gets(bytes.length)).equals(bytes));
    far.link.send(bytes);
    assert.ok((await near.gets(bytes.length)).equals(bytes));
    assert.deepEqual([near.sent.length, far.sent.length], [1, 1]);
  });

  it("takes those that come without one as before", async () => {
    await acceptor.open();
    const socket = await acceptor.dial();
    socket.write("ARTEMIS and more");
    while (acceptor.sides.length === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(String(await acceptor.side().gets(16)), "ARTEMIS and more");
    acceptor.side().link.send(text("hello"));
    assert.equal(String((await once(socket, "data"))[0]), "hello");
  });

  it("understands a handshake and frames that come byte by byte, and messages in fragments", async () => {
    await acceptor.open();
    const socket = await acceptor.dial();
    socket.setNoDelay(true);
    const bytes = Buffer.concat([
      text(handshake({})),
      frame(binary, text("ab"), { isLast: false }),
      frame(0, text("cd"), { isLast: false }),
      frame(9, text("?")),
      frame(0, text("ef")),
      frame(binary, new Uint8Array(0)),
    ]);
    for (const byte of bytes) {
      socket.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(String(await acceptor.side().gets(6)), "abcdef");
  });

  it("answers a ping with a pong", async () => {
    await acceptor.open();
    const socket = await acceptor.upgraded();
    socket.write(frame(9, text("are you there")));
    const [answer] = await once(socket, "data");
    assert.deepEqual(answer, Buffer.concat([Buffer.from([0x8a, 13]), text("are you there")]));
  });

  it("answers a close with a close, and tells of an end in order", async () => {
    await acceptor.open();
    const socket = await acceptor.upgraded();
    socket.write(frame(8, Uint8Array.of(0x03, 0xe8)));
    assert.equal(await allOf(socket), "\x88\x02\x03\xe8");
    assert.equal(await acceptor.side().closed.promise, undefined);
  });

  it("tells of an end when the peer is gone without a word", async () => {
    await acceptor.open();
    const socket = await acceptor.upgraded();
    socket.write(frame(binary, text("last")));
    socket.end();
    assert.equal(await acceptor.side().closed.promise, undefined);
    assert.equal(String(acceptor.side().received), "last");
  });

  const faults: readonly (readonly [name: string, bytes: Buffer, code: number])[] = [
    ["a frame that is not masked", frame(binary, text("x"), { isMasked: false }), 1002],
    ["a text message", frame(1, text("hello")), 1003],
    ["an unknown kind of frame", frame(3, text("x")), 1002],
    ["a reserved bit", frame(binary, text("x"), { reserved: 0x40 }), 1002],
    ["a fragment of nothing", frame(0, text("x")), 1002],
    ["a ping in fragments", frame(9, text("x"), { isLast: false }), 1002],
    ["a message above the limit", frame(binary, text(""), { saysBytes: 65_537 }), 1009],
    ["a length beyond all measure", frame(binary, text(""), { saysBytes: 2 ** 53 }), 1009],
    ["a close with half a code", frame(8, Uint8Array.of(3)), 1002],
    ["a close with a code that nobody may use", frame(8, Uint8Array.of(0x03, 0xed)), 1002],
  ];
  for (const [name, bytes, code] of faults) {
    it(`${name} closes the WebSocket (${code}), with one line`, async () => {
      await acceptor.open();
      const socket = await acceptor.upgraded();
      socket.write(Buffer.concat([frame(binary, text("good")), bytes, frame(binary, text("bad"))]));
      const last = await allOf(socket);
      assert.equal(last.charCodeAt(0), 0x88);
      assert.equal(last.charCodeAt(2) * 256 + last.charCodeAt(3), code);
      assert.ok((await acceptor.side().closed.promise) instanceof Error);
      assert.equal(String(acceptor.side().received), "good");
      assert.equal(acceptor.lines.length, 1, acceptor.lines.join("\n"));
      assert.match(acceptor.lines[0] ?? "", /^A WebSocket was closed for what came in it .*"peer"/);
    });
  }

  const refusals: readonly (readonly [name: string, request: string, status: number])[] = [
    ["a page's address typed into a browser", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426],
    ["a POST", "POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", 426],
    ["an upgrade to something else", handshake({ Upgrade: "h2c" }), 400],
    ["an upgrade by another method", handshake({}, "PUT"), 405],
    ["no key", handshake({ "Sec-WebSocket-Key": undefined }), 400],
    ["a key that is none", handshake({ "Sec-WebSocket-Key": "short" }), 400],
    ["no version", handshake({ "Sec-WebSocket-Version": undefined }), 426],
    ["another version", handshake({ "Sec-WebSocket-Version": "14" }), 426],
    ["no host", handshake({ Host: undefined }), 400],
    ["other subprotocols", handshake({ "Sec-WebSocket-Protocol": "mqtt, v12.stomp" }), 400],
    ["a broken list of subprotocols", handshake({ "Sec-WebSocket-Protocol": "core, ," }), 400],
    ["a page of another site", handshake({ Origin: "https://evil.example" }), 403],
    ["a page of no site", handshake({ Origin: "null" }), 403],
    ["a name that only looks local", handshake({ Origin: "http://localhost.evil.example" }), 403],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
    ["something that only begins like HTTP", "GET it\0\r\n\r\n", 400],
    [
      "two lengths",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      400,
    ],
    ["a head that is too long", handshake({ Cookie: "x".repeat(limits.requestHeadBytesMax) }), 431],
  ];
  for (const [name, request, status] of refusals) {
    it(`${name}: is answered ${status} in words and sent away, with one line`, async () => {
      await acceptor.open();
      const answer = await acceptor.ask(request);
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.match(answer, /Connection: close/i);
      assert.match(answer, /speaks CORE.*The request was refused: found|invalid|missing/is);
      assert.equal(acceptor.lines.length, 1, acceptor.lines.join("\n"));
      assert.match(acceptor.lines[0] ?? "", new RegExp(`^A request over HTTP.*"status":${status}`));
      assert.equal(await acceptor.side().closed.promise, undefined);
      assert.equal(acceptor.side().received.length, 0);
    });
  }

  it("lets in pages of this machine by default, and programs that name none", async () => {
    await acceptor.open();
    for (const origin of [
      undefined,
      "http://localhost:5173",
      "https://shop.localhost",
      "http://127.0.0.1:1",
      "http://[::1]:8080",
    ]) {
      const socket = await acceptor.dial();
      socket.write(handshake({ Origin: origin }));
      assert.match(String((await once(socket, "data"))[0]), /^HTTP\/1\.1 101/, origin);
    }
  });

  it("lets in only those pages that its list names, where there is one", async () => {
    await acceptor.open({ origins: ["https://shop.example"] });
    const socket = await acceptor.dial();
    socket.write(handshake({ Origin: "https://SHOP.example" }));
    assert.match(String((await once(socket, "data"))[0]), /^HTTP\/1\.1 101/);
    for (const origin of ["http://shop.example", "https://shop.example:444", "http://localhost"]) {
      assert.match(await acceptor.ask(handshake({ Origin: origin })), /^HTTP\/1\.1 403/, origin);
    }
  });

  it("lets in pages of everywhere where it is told so", async () => {
    await acceptor.open({ origins: ["*"] });
    const socket = await acceptor.dial();
    socket.write(handshake({ Origin: "https://anything.example" }));
    assert.match(String((await once(socket, "data"))[0]), /^HTTP\/1\.1 101/);
  });

  it("agrees to the subprotocol core, and to none where none is asked for", async () => {
    await acceptor.open();
    const asking = await acceptor.dial();
    asking.write(handshake({ "Sec-WebSocket-Protocol": "mqtt, core" }));
    assert.match(String((await once(asking, "data"))[0]), /Sec-WebSocket-Protocol: core\r\n/);
    const other = await acceptor.dial();
    other.write(handshake({}));
    assert.doesNotMatch(String((await once(other, "data"))[0]), /Sec-WebSocket-Protocol/);
  });

  it("forgets who leaves in the middle of a handshake, and ends one that it is told to end", async () => {
    await acceptor.open();
    const leaving = await acceptor.dial();
    leaving.write("GET / HTTP/1.1\r\nHost:");
    leaving.end();
    while (acceptor.sides.length === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await acceptor.side().closed.promise, undefined);

    const lingering = await acceptor.dial();
    lingering.write("GET / HTTP/1.1\r\n");
    while (acceptor.sides.length === 1) await new Promise((resolve) => setImmediate(resolve));
    acceptor.side(1).link.destroy();
    await new Promise((resolve) => lingering.once("close", resolve));
    await acceptor.side(1).closed.promise;
  });

  it("says in the error what an HTTP server answered instead", async () => {
    const server = createServer((request, response) => {
      response.writeHead(404).end(`no such thing as ${request.url}`);
    });
    server.on("upgrade", (request, socket) => {
      socket.end(`HTTP/1.1 403 No\r\nContent-Length: 99\r\n\r\nnot at ${request.url}`);
    });
    server.listen(0, host);
    await once(server, "listening");
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    const failed = deferred<Error>();
    const endpoint = { host, port: address.port, webSocket: { path: "/a?b" } };
    acceptor.network.connect(endpoint, {
      onConnected: () => assert.fail("connected"),
      onFailed: (error) => failed.resolve(error),
    });
    assert.match(
      (await failed.promise).message,
      /^cannot connect to 127\.0\.0\.1:\d+: no WebSocket was opened, the answer is 403 No: not at \/a\?b$/,
    );
    server.close();
  });

  it("an attempt that is cancelled calls nobody", async () => {
    await acceptor.open();
    for (const waits of [0, 1, 5]) {
      const attempt = acceptor.network.connect(
        { host, port: acceptor.port, webSocket: {} },
        {
          onConnected: () => assert.fail("connected"),
          onFailed: (error) => assert.fail(error),
        },
      );
      for (let turn = 0; turn < waits; turn += 1) {
        await new Promise((resolve) => process.nextTick(resolve));
      }
      attempt.cancel();
      attempt.cancel();
    }
  });
});
