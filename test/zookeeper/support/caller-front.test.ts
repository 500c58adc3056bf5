import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { test } from "node:test";

import { CallerFront } from "./caller-front.ts";

test("who calls a member is led to a place of its own, by the name that it says", async () => {
  const bert = await placeThatSays("for bert");
  const cleo = await placeThatSays("for cleo");
  const front = await CallerFront.start(
    new Map([
      ["bert", bert.port],
      ["cleo", cleo.port],
    ]),
  );
  try {
    assert.equal(await answerTo(front.port, "0123 bert anna"), "for bert");
    assert.equal(await answerTo(front.port, "0123 \0c\0l\0e\0o \0a\0n\0n\0a"), "for cleo");
    assert.equal(await answerTo(front.port, "0123 dora anna"), "");
    front.refuse();
    await assert.rejects(answerTo(front.port, "0123 bert anna"), { code: "ECONNREFUSED" });
    await front.accept();
    assert.equal(await answerTo(front.port, "0123 bert anna"), "for bert");
  } finally {
    front.stop();
    bert.close();
    cleo.close();
  }
});

/** Whatever it is told. */
async function placeThatSays(
  words: string,
): Promise<{ readonly port: number; readonly close: () => void }> {
  const server = createServer((socket) => {
    socket.once("data", () => socket.end(words));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = portOf(server.address());
  return { port, close: () => void server.close() };
}

/** Everything that comes until the connection ends. */
async function answerTo(port: number, words: string): Promise<string> {
  const socket: Socket = connect(port, "127.0.0.1");
  socket.write(words);
  let text = "";
  for await (const bytes of socket) text += String(bytes);
  return text;
}

function portOf(address: AddressInfo | string | null): AddressInfo {
  assert.ok(typeof address === "object" && address !== null);
  return address;
}
