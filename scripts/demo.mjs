/**
 * Flights through a group whose live is killed again and again (`everhold demo failover`). A ZooKeeper of its own settles who
 * leads where Java and Maven, which fetches it from Maven Central, are there; otherwise a folder does.
 *
 *   npm run demo                          a group of three, or a pair
 *   npm run demo -- --folder              a pair, with nothing but Node
 *   npm run demo -- --zookeeper <servers> a group of three, with servers that run already
 */
import { spawnSync } from "node:child_process";
import { main } from "../packages/cli/dist/main.js";

const given = process.argv.slice(2).filter((word) => word !== "--folder");
const isAsked =
  given.length < process.argv.length - 2 ||
  given.some((word) => /^(--zookeeper(=.*)?|--help|-h)$/.test(word));
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
    await demo("--zookeeper", ensemble.connectString);
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

/** Returns when it is over; what came of it is in the exit code. */
async function demo(...more) {
  await main([...process.argv.slice(0, 2), "demo", "failover", ...given, ...more]);
}

function note(text) {
  process.stderr.write(`${text}\n`);
}
