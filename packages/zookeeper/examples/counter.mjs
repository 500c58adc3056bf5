import { connect, Counter } from "@everhold/zookeeper";

const client = await connect(process.argv[2] ?? "127.0.0.1:2181");
const visitors = new Counter(client, "/visitors");

// Many processes may do this at once: each is counted once, though answers get lost.
await Promise.all(Array.from({ length: 10 }, () => visitors.increment()));
console.log(await visitors.get({ fresh: true }));

// A number that nobody else gets.
const ticket = await visitors.increment();
console.log("ticket", ticket);

console.log(await visitors.compareAndSet(ticket, 0n));

await client.delete("/visitors");
await client.close();
