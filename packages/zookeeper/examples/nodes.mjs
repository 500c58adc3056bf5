import { connect } from "@everhold/zookeeper";

const client = await connect(process.argv[2] ?? "127.0.0.1:2181");

const { path } = await client.create("/shop/orders/order-", "two apples", {
  mode: "persistentSequential",
  parents: true, // makes /shop and /shop/orders where they are missing
});
const { data, stat } = await client.getData(path);
console.log(new TextDecoder().decode(data), "in version", stat.version);

await client.setData(path, "three apples", { expected: stat }); // BADVERSION if somebody was quicker
console.log(await client.exists("/shop/parcels"));

const { children } = await client.getChildren("/shop/orders");
console.log(children);

await client.delete("/shop", { children: true });
await client.close();
