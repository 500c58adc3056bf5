/**
 * A process with an ephemeral node, which it makes once and never tries again. It says on its standard output, a line
 * each, `holds` with the node's owner, or `refused` with the code and reason of the error; then it stays until it is
 * told `close`.
 *
 * Arguments: servers, the node, the folder for the session ("" for none).
 */
import { writeSync } from "node:fs";
import { once } from "node:events";

import { EverholdError, sessionFolder, ZooKeeperError } from "@everhold/zookeeper";

import { connectTo } from "./clients.ts";

const [, , servers = "", path = "", folder = ""] = process.argv;

try {
  const store = folder === "" ? {} : { sessionStore: sessionFolder(folder) };
  await using client = await connectTo(servers, store);
  const { stat } = await client.create(path, null, { mode: "ephemeral" });
  writeSync(1, `holds ${stat?.ephemeralOwner}\n`);
  await once(process.stdin, "data");
} catch (error) {
  if (!EverholdError.is(error)) throw error;
  writeSync(1, `refused ${error.code} ${error instanceof ZooKeeperError ? error.reason : ""}\n`);
}
process.stdin.destroy();
