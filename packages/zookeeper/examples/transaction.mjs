import { connect, ops, ZooKeeperError } from "@everhold/zookeeper";

const client = await connect(process.argv[2] ?? "127.0.0.1:2181");
const shop = client.namespace("/shop"); // the same client, all paths below /shop
await shop.create("/open", "", { parents: true });
await shop.create("/done", "");
await shop.create("/open/apples", "two");

// All or nothing.
const [moved] = await shop.multi([
  ops.create("/done/apples", "two"),
  ops.delete("/open/apples", { version: 0 }),
]);
console.log(moved.path);

try {
  await shop.multi([ops.create("/done/pears", "one"), ops.delete("/open/pears")]);
} catch (error) {
  if (!(error instanceof ZooKeeperError)) throw error;
  console.log("operation", error.opIndex, "was refused:", error.reason);
}
console.log(await shop.exists("/done/pears"));

await shop.delete("/", { children: true });
await client.close();
