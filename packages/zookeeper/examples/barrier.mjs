import { connect, DoubleBarrier } from "@everhold/zookeeper";

const client = await connect(process.argv[2] ?? "127.0.0.1:2181");

/** What one of three processes does. */
async function importPart(part) {
  const barrier = new DoubleBarrier(client, "/barriers/import", { memberCount: 3 });
  await barrier.enter({ timeout: 30_000 }); // when all three have come
  parts.push(part);
  await barrier.leave(); // when all three have left
  return parts.length;
}

const parts = [];
console.log(await Promise.all([importPart("apples"), importPart("pears"), importPart("plums")]));

await client.delete("/barriers", { children: true });
await client.close();
