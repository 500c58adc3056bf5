import { readFileSync } from "node:fs";

import type { Command } from "commander";

import type { CommandContext } from "../command-context.ts";
import { writeJson } from "../terminal/terminal.ts";

/** The version of this package. */
export function version(): string {
  const file = new URL("../../package.json", import.meta.url);
  const content: unknown = JSON.parse(readFileSync(file, "utf8"));
  const found = typeof content === "object" && content !== null && "version" in content;
  return found ? String(content.version) : "unknown";
}

/** `everhold version`: prints the versions of Everhold and of Node. */
export function addVersionCommand(program: Command, { terminal }: CommandContext): void {
  program
    .command("version")
    .description("print the version")
    .action(async () => {
      const versions = { everhold: version(), node: process.versions.node };
      if (terminal.json) await writeJson(terminal, versions);
      else await terminal.write(`everhold ${versions.everhold} (Node ${versions.node})\n`);
    });
}
