/** Runs every test of this folder in one process: starting one costs more than most tests take. */
import { readdirSync } from "node:fs";

const sourceFolder = new URL("../", import.meta.url);
for (const name of readdirSync(sourceFolder).toSorted()) {
  if (!name.endsWith(".test.ts") || name === "all.test.ts") continue;
  await import(new URL(name.replace(/\.ts$/, ".js"), import.meta.url).href);
}
