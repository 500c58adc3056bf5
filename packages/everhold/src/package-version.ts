import { readFileSync } from "node:fs";

/** The version of this package. */
export function packageVersion(): string {
  const file = new URL("../package.json", import.meta.url);
  const content: unknown = JSON.parse(readFileSync(file, "utf8"));
  const isFound = typeof content === "object" && content !== null && "version" in content;
  return isFound ? String(content.version) : "unknown";
}
