import { connect, PersistentNode } from "@everhold/zookeeper";

const client = await connect(process.argv[2] ?? "127.0.0.1:2181");

// A node that stays when the process ends, and is made again when somebody deletes it.
const node = new PersistentNode(client, "/queues/orders", { mode: "container", data: "v1" });
node.on("missing", () => console.log("somebody has deleted it"));
await node.start();

const madeAgain = new Promise((resolve) => node.on("held", resolve));
await client.delete("/queues/orders");
await madeAgain;
const { data } = await client.getData("/queues/orders");
console.log(new TextDecoder().decode(data));

await node.close(); // deletes it; `close({ keep: true })` leaves it
console.log(await client.exists("/queues/orders"));
await client.close();
