/**
 * Ends the process with one line and the cure when Node is too old. It runs before anything that is
 * compiled or installed, so it keeps to what every Node with modules understands.
 */
import { readFileSync } from "node:fs";

const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const required = manifest.engines.node.replace(">=", "");

if (isOlder(process.versions.node, required)) {
  process.stderr.write(
    `Everhold needs Node ${required} or newer, and this is ${process.versions.node}: ` +
      "install a newer one from https://nodejs.org and run the command again\n",
  );
  process.exit(1);
}

/** Whether version `found` comes before version `wanted` (both `major.minor.patch`). */
function isOlder(found, wanted) {
  const foundParts = found.split(".").map(Number);
  const wantedParts = wanted.split(".").map(Number);
  for (let index = 0; index < wantedParts.length; index += 1) {
    if (foundParts[index] !== wantedParts[index]) return foundParts[index] < wantedParts[index];
  }
  return false;
}
