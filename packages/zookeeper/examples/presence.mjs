import { connect } from "@everhold/zookeeper";

const client = await connect(process.argv[2] ?? "127.0.0.1:2181");
client.on("suspended", () => console.log("no server is connected; the session may live on"));
client.on("lost", () => console.log("the session is over, and its ephemeral nodes with it"));

// An ephemeral node that is made again by itself in the next session. A node of somebody else is never touched.
const held = await client.hold("/workers/anna", "ready", { parents: "container" });
held.on("conflict", ({ owner }) => console.log("another anna is there, in session", owner));

await held.update("busy");
const { data, stat } = await client.getData("/workers/anna");
console.log(new TextDecoder().decode(data), stat.ephemeralOwner === client.sessionId);

await held.release();
console.log(await client.exists("/workers/anna"));
await client.close();
