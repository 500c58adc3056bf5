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
const missing = isAsked ? [] : ["java -version", "mvn -version"].filter((words) => !runs(words));

if (isAsked) {
  await demo();
} else if (missing.length > 0) {
  note(
    `Without Java 17 and Maven (${missing.join(", ")} failed) a folder settles who leads, not ZooKeeper;\n` +
      "name servers that run already, if you have some: --zookeeper host:2181",
  );
  await demo();
} else {
  note("starting ZooKeeper; the first time Maven fetches it (without: --folder)");
  const ensemble = await startZooKeeper();
  try {
    process.argv.push("--zookeeper", ensemble.connectString);
    await demo();
  } finally {
    await ensemble[Symbol.asyncDispose]();
  }
}

function runs(words) {
  const [tool, ...rest] = words.split(" ");
  return spawnSync(tool, rest).status === 0;
}

async function startZooKeeper() {
  const { Ensemble } = await import("#zookeeper/ensemble");
  const { zooKeeperVersions } = await import("#zookeeper/class-path");
  try {
    return await Ensemble.start({ version: zooKeeperVersions.at(-1), size: 1 });
  } catch (error) {
    note(`demo: cannot start ZooKeeper (without it: --folder): ${error.message}`);
    process.exit(1);
  }
}

/** Returns when it is over; what it has to say of itself is in the exit code. */
async function demo() {
  await import("../packages/cli/dist/demo/main.js");
}

function note(text) {
  process.stderr.write(`${text}\n`);
}
