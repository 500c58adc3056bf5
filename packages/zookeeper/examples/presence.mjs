import { connect } from "@everhold/zookeeper";

const client = await connect(process.argv[2] ?? "127.0.0.1:2181", { sessionTimeout: 18_000 });
client.on("suspended", () => console.log("no server is connected; the session may live on"));
client.on("lost", () => console.log("the session is over, and its ephemeral nodes with it"));

/** Says that this process is there, for as long as its session lives. */
async function enter(epoch) {
  await client.create("/workers/anna", "ready", {
    mode: "ephemeral",
    parents: "container",
    epoch, // in another session it would be somebody else's promise
  });
  console.log("anna is there in epoch", epoch);
}

client.on("reconnected", ({ epoch, sessionChanged }) => {
  if (sessionChanged) enter(epoch).catch(console.error);
});
await enter(client.epoch);

const stat = await client.exists("/workers/anna");
console.log(stat?.ephemeralOwner === client.sessionId);
await client.close(); // the node goes at once
