/** `npm run torture`: on a broker or a group of them, or with `--zookeeper` alone on an ensemble of ZooKeeper. */
const { argv } = process;
if (argv.includes("--zookeeper") && !argv.includes("--group")) await import("./zookeeper/main.ts");
else await import("./main.ts");
export {};
