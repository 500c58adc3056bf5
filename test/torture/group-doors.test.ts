import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";

import { freePort } from "#free-port";

import { GroupDoors } from "./group-doors.ts";

test("who comes to a member is let in while that serves, and turned away at once while it does not", async () => {
  const port = await freePort();
  const server = createServer((socket) => socket.write("in"));
  await once(server.listen(port, "127.0.0.1"), "listening");
  const member = { isServing: false, port };
  const doors = await GroupDoors.make(1);
  const [url = ""] = doors.urls;
  let inside: Socket | undefined;
  try {
    doors.watch([member]);
    assert.equal(await comeTo(url), undefined);
    member.isServing = true;
    while (inside === undefined) inside = await comeTo(url);
    doors.close(0);
    member.isServing = false;
    for (let late = await comeTo(url); late !== undefined; late = await comeTo(url)) late.destroy();
    assert.equal(inside.destroyed, false, "who was in stays");
  } finally {
    inside?.destroy();
    await doors.stop();
    server.close();
  }
});

/** Undefined: nobody listens. */
async function comeTo(url: string): Promise<Socket | undefined> {
  await turn();
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  try {
    await once(socket, "data");
    return socket;
  } catch {
    return undefined;
  }
}
