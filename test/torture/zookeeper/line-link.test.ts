import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";

import { LineLink } from "./line-link.ts";

test("half a line of one that was killed counts for nothing, and lines may come in pieces", async () => {
  await withLink(async (link, socket) => {
    const values: object[] = [];
    link.onValue((value) => values.push(value));
    socket.write('{"a":');
    socket.write('1}\n{"b":2}\n{"c"');
    socket.end();
    await link.closed();
    assert.deepEqual(values, [{ a: 1 }, { b: 2 }]);
  });
});

test("a connection that breaks is closed like any other", async () => {
  await withLink(async (link, socket) => {
    const closed = link.closed();
    socket.resetAndDestroy();
    await closed;
    await link.closed();
  });
});

/** One end as a link, the other as it is. */
async function withLink(run: (link: LineLink, socket: Socket) => Promise<void>): Promise<void> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port was given");
  const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
  const socket = connect(address.port, "127.0.0.1");
  const link = new LineLink(await accepted);
  try {
    await run(link, socket);
  } finally {
    socket.destroy();
    await link.close();
    server.close();
  }
}
