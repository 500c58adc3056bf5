import { connect } from "@everhold/zookeeper";

const servers = process.argv[2] ?? "127.0.0.1:2181";

// Asked when the client connects, and again whenever none of the servers it named last can be reached.
const client = await connect(async () => {
  console.log("asked");
  return servers; // what a registry says, or a name service
});
client.on("error", ({ error }) => console.warn("still on the servers from before:", error.message));

// Told by somebody who knows: the session stays, and what is on its way is answered first.
client.updateServerList(servers);

await client.sync();
console.log(client.epoch);
await client.close();
