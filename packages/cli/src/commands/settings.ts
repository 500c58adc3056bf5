import type { Command } from "commander";
import { EverholdError } from "everhold";

import {
  addConnectionOptions,
  withConnection,
  type CommandContext,
  type ConnectionFlags,
} from "../command-context.ts";
import { formatTable } from "../terminal/table.ts";
import { writeJson, type Terminal } from "../terminal/terminal.ts";

/** `everhold settings`: what holds for addresses, and what is said of them at run time. */
export function addSettingsCommand(program: Command, context: CommandContext): void {
  const settings = program
    .command("settings")
    .description("what holds for addresses; names and units are those of Artemis");
  const ask = (operation: string, args: readonly string[], flags: ConnectionFlags) =>
    invoke(context, flags, operation, args);
  addConnectionOptions(
    settings.command("show <address>").description("what holds for an address, existing or not"),
  ).action(async (address: string, flags: ConnectionFlags) => {
    await show(context.terminal, await ask("getAddressSettingsAsJSON", [address], flags));
  });
  addConnectionOptions(
    settings.command("ls").description("what is said of each match, and where"),
  ).action(async (flags: ConnectionFlags) => {
    await list(context.terminal, await ask("listAddressSettings", [], flags));
  });
  addConnectionOptions(
    settings
      .command("set <match> <json>")
      .description("give all that is to hold for a match; it is kept"),
  ).action(async (match: string, json: string, flags: ConnectionFlags) => {
    await ask("addAddressSettings", [match, json], flags);
  });
  addConnectionOptions(
    settings.command("unset <match>").description("take back what was set for a match"),
  ).action(async (match: string, flags: ConnectionFlags) => {
    await ask("removeAddressSettings", [match], flags);
  });
}

async function invoke(
  context: CommandContext,
  flags: ConnectionFlags,
  operation: string,
  args: readonly string[],
): Promise<unknown> {
  let result: unknown;
  await withConnection(context, flags, async ({ management }) => {
    result = await management.invoke("broker", operation, args, { signal: context.terminal.stop });
  });
  return result;
}

async function show(terminal: Terminal, found: unknown): Promise<void> {
  const settings = asObject(found);
  if (terminal.json) return writeJson(terminal, settings);
  await terminal.write(
    formatTable(
      [
        { title: "SETTING", text: ([name]) => name },
        { title: "VALUE", text: ([, value]) => (value === "" ? "(none)" : String(value)) },
      ],
      Object.entries(settings),
    ),
  );
}

async function list(terminal: Terminal, found: unknown): Promise<void> {
  const value = parsed(found);
  if (!Array.isArray(value)) throw unexpected(found);
  const rows = value.map(asObject);
  if (!terminal.json) {
    await terminal.write(
      formatTable(
        [
          { title: "MATCH", text: (row) => String(row["addressMatch"]) },
          {
            title: "SAID",
            text: (row) => (row["atRunTime"] === true ? "at run time" : "in the file"),
          },
          { title: "SETTINGS", text: (row) => JSON.stringify(row["settings"]) },
        ],
        rows,
      ),
    );
    return;
  }
  for (const row of rows) await writeJson(terminal, row);
}

/** Structures travel as texts in messages. */
function parsed(found: unknown): unknown {
  return typeof found === "string" ? JSON.parse(found) : found;
}

function asObject(found: unknown): Readonly<Record<string, unknown>> {
  const value = parsed(found);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw unexpected(found);
  return { ...value };
}

function unexpected(found: unknown): EverholdError {
  return new EverholdError(
    "EVH_REJECTED",
    `the broker answered ${JSON.stringify(found).slice(0, 100)}, expected settings`,
  );
}
