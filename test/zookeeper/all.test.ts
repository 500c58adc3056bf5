/** Runs every test of this folder in one process: starting one costs more than most tests take. */
import { readdirSync } from "node:fs";

const sourceFolder = new URL("../", import.meta.url);
const names = readdirSync(sourceFolder, { recursive: true, encoding: "utf8" });
for (const name of names.map((path) => path.replaceAll("\\", "/")).toSorted()) {
  if (!name.endsWith(".test.ts") || name === "all.test.ts" || name.startsWith("dist/")) continue;
  await import(new URL(name.replace(/\.ts$/, ".js"), import.meta.url).href);
}
