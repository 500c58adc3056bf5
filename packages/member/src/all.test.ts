/** Runs every test of this package in one process: starting one costs more than most tests take. */
import { readdirSync } from "node:fs";

const sourceFolder = new URL("../src/", import.meta.url);
const names = readdirSync(sourceFolder, { recursive: true, encoding: "utf8" });
for (const name of names.toSorted()) {
  if (!name.endsWith(".test.ts") || name === "all.test.ts") continue;
  const compiled = name.replaceAll("\\", "/").replace(/\.ts$/, ".js");
  await import(new URL(compiled, import.meta.url).href);
}
