import { connect, ZooKeeperError } from "@everhold/zookeeper";

const client = await connect(process.argv[2] ?? "127.0.0.1:2181");
await client.create("/visitors", "0");

/** Adds one to a number that many processes change. */
async function countOne() {
  for (;;) {
    const { data, stat } = await client.getData("/visitors");
    const count = Number(new TextDecoder().decode(data)) + 1;
    try {
      await client.setData("/visitors", String(count), { expected: stat });
      return;
    } catch (error) {
      const wasSlower = error instanceof ZooKeeperError && error.reason === "BADVERSION";
      // With the outcome "unknown" it may have been counted: here nobody counts it twice, and the caller is told.
      if (!wasSlower) throw error;
    }
  }
}

await Promise.all(Array.from({ length: 10 }, countOne));
const { data } = await client.getData("/visitors", { fresh: true });
console.log(new TextDecoder().decode(data));

await client.delete("/visitors");
await client.close();
