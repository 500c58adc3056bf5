/**
 * A process that stands for an election and acts while it leads: it writes its token into a node, having asked at that
 * moment whether it leads. It says what happens on its standard output, a line each, and answers `ask` with the token by
 * which it leads, or `no`. `beside` means that it led beside somebody with a larger token.
 *
 * Arguments: servers, the election's path, the node, who this is.
 */
import { writeSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

import { EverholdError, type Grant, LeaderLatch, type ZooKeeper } from "@everhold/zookeeper";

import { briefSession, connectTo, leaseTiming } from "./clients.ts";

const [, , servers = "", path = "", node = "", id = ""] = process.argv;

const client = await connectTo(servers, briefSession);
const latch = new LeaderLatch(client, path, { id, ...leaseTiming });
latch.on("leader", ({ grant }) => say(`leader ${grant.token} ${client.sessionId}`));
latch.on("notLeader", ({ grant }) => say(`notLeader ${grant.token}`));
process.stdin.on("data", () => say(`asked ${latch.grant?.token ?? "no"}`));
latch.start();

for (;;) {
  const { grant } = latch;
  if (grant !== undefined) await act(client, grant);
  await delay(10);
}

async function act(zooKeeper: ZooKeeper, grant: Grant): Promise<void> {
  try {
    const { data, stat } = await zooKeeper.getData(node);
    const newest = BigInt(new TextDecoder().decode(data ?? undefined));
    if (!grant.isHeld()) return;
    if (newest > grant.token) return say(`beside ${newest} ${grant.token}`);
    say(`acts ${grant.token}`);
    await zooKeeper.setData(node, String(grant.token), { expected: stat });
  } catch (error) {
    // Whatever ZooKeeper says: somebody was quicker, or the connection broke.
    if (!EverholdError.is(error)) throw error;
  }
}

/** At once, and in order. */
function say(line: string): void {
  writeSync(1, `${line}\n`);
}
