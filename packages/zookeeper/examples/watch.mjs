import { connect } from "@everhold/zookeeper";

const client = await connect(process.argv[2] ?? "127.0.0.1:2181");
await client.create("/lamps", "", { parents: true });

// Everything below /lamps, for as long as the loop runs; over lost connections and sessions, too.
const watch = await client.watch("/lamps", { recursive: true });

await client.create("/lamps/kitchen", "off");
await client.setData("/lamps/kitchen", "on");
await client.delete("/lamps/kitchen");

for await (const notice of watch) {
  // After a gap, as a reconnect is one, read again what matters: what happened meanwhile is not told.
  console.log(notice.type, notice.path);
  if (notice.type === "deleted") break; // closes the watch
}

// Told once, when what was read has changed; then read again.
await client.getChildren("/lamps", {
  watch: ({ type, path }) => console.log("once:", type, path),
});
await client.create("/lamps/garden", "on");

await client.delete("/lamps", { children: true });
await client.close();
