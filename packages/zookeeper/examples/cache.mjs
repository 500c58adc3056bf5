import { connect, NodeCache } from "@everhold/zookeeper";

const client = await connect(process.argv[2] ?? "127.0.0.1:2181");
await client.create("/config/limits", "ten", { parents: true });

// Everything at and below /config, in memory, for as long as it is not closed.
const cache = new NodeCache(client, "/config");
await cache.start();
const text = new TextDecoder();
console.log(text.decode(cache.get("/config/limits")?.data ?? undefined));

cache.on("changed", ({ node, before }) => {
  console.log(
    node.path,
    text.decode(before.data ?? undefined),
    "->",
    text.decode(node.data ?? undefined),
  );
});
cache.on("deleted", ({ before }) => console.log(before.path, "is gone"));

const { mzxid } = await client.setData("/config/limits", "twenty");
await cache.waitFor(mzxid); // until what was just written is shown
console.log(cache.generation >= mzxid, cache.size);

await client.delete("/config/limits");
await cache.fresh(); // until everything that was finished before is
console.log(cache.children().length);

cache.close();
await client.delete("/config");
await client.close();
