/**
 * The ZooKeeper client on real ensembles, of the version that Debian has and of the newest, which are started and
 * stopped here and harmed in between. Needs Java 17 and Maven, which fetches the servers from Maven Central. What is
 * missing is an error, never a skip.
 *
 *   npm run zookeeper               every suite but "soak", one after the other
 *   npm run zookeeper -- outages    these
 *   npm run zookeeper -- --list     their names
 */
import { runSuites } from "./suites.mjs";

await runSuites({
  project: "zookeeper",
  command: "zookeeper",
  folder: "suites",
  fileTimeoutMs: 1_200_000,
  byHand: ["soak"],
});
