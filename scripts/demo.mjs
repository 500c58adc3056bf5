/**
 * Flights through a group whose live is killed again and again (packages/cli/src/demo). A ZooKeeper of its own settles who
 * leads where Java and Maven, which fetches it from Maven Central, are there; otherwise a folder does.
 *
 *   npm run demo                          a group of three, or a pair
 *   npm run demo -- --folder              a pair, with nothing but Node
 *   npm run demo -- --zookeeper <servers> a group of three, with servers that run already
 */
import { spawnSync } from "node:child_process";

const own = ["--folder", "--zookeeper", "--help", "-h"];
const isAsked = process.argv.some((word) => own.includes(word) || word.startsWith("--zookeeper="));
const missing = [
  ["java", "-version"],
  ["mvn", "--version"],
].flatMap(([tool, flag]) => (spawnSync(tool, [flag]).status === 0 ? [] : [tool]));

if (isAsked) {
  await demo();
} else if (missing.length > 0) {
  note(
    `${missing.join(" and ")} not found: a folder settles who leads. With Java 17 and Maven a ZooKeeper does; or name one, --zookeeper host:2181`,
  );
  await demo();
} else {
  note("starting ZooKeeper; the first time Maven fetches it (without: --folder)");
  const { Ensemble } = await import("#zookeeper/ensemble");
  const { zooKeeperVersions } = await import("#zookeeper/class-path");
  const ensemble = await Ensemble.start({ version: zooKeeperVersions.at(-1), size: 1 });
  try {
    process.argv.push("--zookeeper", ensemble.connectString);
    await demo();
  } finally {
    await ensemble[Symbol.asyncDispose]();
  }
}

/** Returns when it is over; what it has to say of itself is in the exit code. */
async function demo() {
  await import("../packages/cli/dist/demo/main.js");
}

function note(text) {
  process.stderr.write(`${text}\n`);
}
