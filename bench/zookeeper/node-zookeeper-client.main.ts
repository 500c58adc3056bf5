import { once } from "node:events";

import { createClient } from "node-zookeeper-client";

import { runLoad } from "./load.ts";

/** The load with node-zookeeper-client, whose callbacks become promises, as its users do it. */
await runLoad(async (servers) => {
  const client = createClient(servers, { sessionTimeout: 30_000 });
  const connected = once(client, "connected");
  client.connect();
  await connected;
  return {
    create: (path, data) =>
      promised((callback) => client.create(path, Buffer.from(data.buffer), callback)),
    delete: (path) => promised((callback) => client.remove(path, callback)),
    get: (path) => promised((callback) => client.getData(path, callback)),
    watch: (path, onChange) => promised((callback) => client.getData(path, onChange, callback)),
    set: (path, data) =>
      promised((callback) => client.setData(path, Buffer.from(data.buffer), callback)),
    close: async () => {
      const closed = once(client, "disconnected");
      client.close();
      await closed;
    },
  };
});

function promised(start: (callback: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
