import type { Command } from "commander";

import {
  addConnectionOptions,
  connectFor,
  countArgument,
  type CommandContext,
  type ConnectionFlags,
} from "../command-context.ts";
import { limits } from "../limits.ts";
import { bodyText, messageToObject } from "../message-lines.ts";
import { writeJson } from "../terminal/terminal.ts";

interface BrowseFlags extends ConnectionFlags {
  readonly limit: number;
  readonly filter?: string;
}

/** `everhold browse`: shows what waits in a queue and takes nothing. */
export function addBrowseCommand(program: Command, context: CommandContext): void {
  const { terminal } = context;
  const command = program
    .command("browse <queue>")
    .description("show what waits in a queue, the oldest first, and take nothing")
    .option("--limit <n>", "show at most so many", countArgument(1), limits.browseCountDefault)
    .option("--filter <selector>", "only messages that match, such as \"colour = 'red'\"");
  addConnectionOptions(command).action(async (queue: string, flags: BrowseFlags) => {
    const connection = await connectFor(context, flags);
    try {
      const { filter } = flags;
      let shown = 0;
      const options = { signal: terminal.stop, ...(filter === undefined ? {} : { filter }) };
      for await (const message of connection.browse(queue, options)) {
        if (terminal.json) await writeJson(terminal, messageToObject(message));
        else await terminal.write(`${bodyText(message)}\n`);
        if (++shown === flags.limit || terminal.stop.aborted) break;
      }
    } finally {
      await connection.close();
    }
  });
}
