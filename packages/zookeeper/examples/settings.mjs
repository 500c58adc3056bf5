import { connect, SharedCount } from "@everhold/zookeeper";

const client = await connect(process.argv[2] ?? "127.0.0.1:2181");

// A number that somebody sets and many follow; SharedValue does the same with any bytes.
const workers = new SharedCount(client, "/settings/workers", { initial: 4 });
await workers.start();
workers.on("changed", ({ count }) => console.log(count, "workers"));

console.log(await workers.trySet(8)); // false if somebody was quicker
console.log(workers.current?.count);

workers.close();
await client.delete("/settings", { children: true });
await client.close();
