import { connect, LeaderLatch, LeaderSelector } from "@everhold/zookeeper";

const client = await connect(process.argv[2] ?? "127.0.0.1:2181");

// Stands for an election until it is closed.
const latch = new LeaderLatch(client, "/leaders/billing", { id: "anna" });
latch.on("notLeader", () => console.log("leads no more"));
latch.start();

const grant = await latch.awaitLeadership({ timeout: 30_000 });
const leader = await latch.leader();
console.log(leader?.id, "leads:", leader?.token === grant.token);
if (latch.isLeader()) console.log("bills"); // asked at the moment of acting
await latch.close();

// Or: leads for as long as the work takes, term after term.
const shutdown = new AbortController();
const selector = new LeaderSelector(client, "/leaders/reports", { id: "anna" });
await selector.run(
  async (term) => {
    for (let page = 1; page <= 2 && term.isHeld(); page += 1) console.log("page", page);
    shutdown.abort();
  },
  { autoRequeue: true, signal: shutdown.signal },
);

await client.close();
