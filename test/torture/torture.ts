/** `npm run torture`: on a broker, or with `--zookeeper` on an ensemble of ZooKeeper. */
if (process.argv.includes("--zookeeper")) await import("./zookeeper/main.ts");
else await import("./main.ts");
export {};
