/**
 * A member of a group on one machine, in a process of its own: it asks for one change after the other, and says on its
 * standard output what it read, what it asks for and what it was told, before it goes on. Ends with its standard input.
 */
import { LocalCoordinator } from "@everhold/coordinator";
import { NodeClaims, NodeDisk, nodePorts } from "@everhold/node";

const [folder = "", id = "", life = ""] = process.argv.slice(2);
const self = { id, incarnation: "1" };

process.stdin.resume().on("end", () => process.exit(1));

const coordinator = new LocalCoordinator({
  ports: nodePorts({ log: { level: "error" } }),
  disk: new NodeDisk({ folder }),
  claims: new NodeClaims({ folder }),
  groupId: "g",
  listener: { onStateMayHaveChanged: ignore, onLiveGone: ignore, onMembers: ignore },
});
await coordinator.register({ replica: self, replication: `${id}:1`, clients: `${id}:2` });
for (let number = 1; ; number += 1) {
  const read = await coordinator.read();
  if (read.kind !== "state") throw new Error(`read: ${read.kind}`, { cause: read });
  const { created, version, state } = read.known;
  tell({ kind: "read", version, mark: state.epochStart });
  // No two requests have the same.
  const mark = Number(life) * 1_000_000 + number;
  tell({ kind: "ask", version, mark });
  const next = { ...state, epoch: state.epoch + 1, live: self, epochStart: mark };
  const result = await coordinator.request("promote", { created, version, state: next });
  tell({ kind: result, version, mark });
}

function tell(line: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function ignore(): void {
  // It looks by itself.
}
