import { EverholdError } from "@everhold/base";
import { Command, CommanderError } from "commander";

import { addBrowseCommand } from "./commands/browse.ts";
import { addConsumeCommand } from "./commands/consume.ts";
import { addDataCommand } from "./commands/data.ts";
import { addDemoCommand } from "./commands/demo.ts";
import { addDlqCommand } from "./commands/dlq.ts";
import { addHaCommand } from "./commands/ha.ts";
import { addQueueCommand } from "./commands/queue.ts";
import { addRunCommand } from "./commands/run.ts";
import { addSendCommand } from "./commands/send.ts";
import { addSettingsCommand } from "./commands/settings.ts";
import { addUserCommand } from "./commands/user.ts";
import { addVersionCommand, version } from "./commands/version.ts";
import { errorLine, errorObject } from "./cures.ts";
import { exitCodes } from "./exit-codes.ts";
import { UsageError } from "./usage-error.ts";
import { endBy, isClosedPipe, processTerminal, type Terminal } from "./terminal/terminal.ts";

/** Runs the command that `argv` (as `process.argv`) names and sets the exit code of the process. */
export async function main(argv: readonly string[]): Promise<void> {
  const terminal = processTerminal(argv.includes("--json"));
  const program = createProgram(terminal);
  try {
    await program.parseAsync(argv);
  } catch (error) {
    process.exitCode = reportFailure(terminal, error, argv);
    if (EverholdError.is(error, "EVH_DISK_HUNG")) endBy("SIGKILL");
  }
}

function createProgram(terminal: Terminal): Command {
  const program = new Command("everhold")
    .description("A message broker that loses nothing, doubles nothing and hides nothing.")
    .version(version(), "-V, --version", "print the version")
    .option("--json", "one JSON object a line, errors too (on standard error)")
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .hook("preAction", (_program, command) => refuseEmptyNames(command))
    .addHelpText("after", helpTail);
  const context = { terminal, environment: process.env };
  addRunCommand(program, context);
  addSendCommand(program, context);
  addConsumeCommand(program, context);
  addBrowseCommand(program, context);
  addQueueCommand(program, context);
  addDlqCommand(program, context);
  addSettingsCommand(program, context);
  addDataCommand(program, context);
  addHaCommand(program, context);
  addUserCommand(program, context);
  addDemoCommand(program, context);
  addVersionCommand(program, context);
  return program;
}

/** Where a name is empty, mostly a variable of a script was. A body may be. */
function refuseEmptyNames(command: Command): void {
  for (const [index, argument] of command.registeredArguments.entries()) {
    if (command.args[index] !== "" || argument.name() === "body") continue;
    throw new UsageError(`expected <${argument.name()}>, found an empty text`);
  }
}

/** Says what went wrong, in one line, and returns the exit code that goes with it. */
function reportFailure(terminal: Terminal, error: unknown, argv: readonly string[]): number {
  // Help and version are told as errors too, with exit code 0.
  if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok;
  if (isClosedPipe(error)) return exitCodes.ok;
  // Ctrl-C before there was anything to stop in order.
  if (terminal.stop.aborted && EverholdError.is(error, "EVH_ABORTED")) return exitCodes.interrupted;
  const told = error instanceof CommanderError ? usageErrorOf(error, argv) : error;
  terminal.writeError(
    terminal.json ? `${JSON.stringify(errorObject(told))}\n` : `${errorLine(told)}\n`,
  );
  return told instanceof UsageError ? exitCodes.usage : exitCodes.failure;
}

function usageErrorOf(error: CommanderError, argv: readonly string[]): UsageError {
  if (error.code === "commander.help") {
    // Help that is asked for a command that there is none of comes as if none had been named.
    const help = argv.indexOf("help");
    const name = help < 0 ? undefined : argv[help + 1];
    return new UsageError(name === undefined ? "expected a command" : `unknown command '${name}'`);
  }
  return new UsageError(error.message.replace(/^error: /, "").replaceAll(/\s*\n\s*/g, " "));
}

const helpTail = `
Examples:
  everhold run                                  a durable broker, data in ./everhold-data
  everhold send orders 'two apples'             settles when the broker has it on disk
  everhold consume orders --count 1
  everhold consume orders --json > kept.ndjson  and back: everhold send orders --file kept.ndjson
  everhold queue stat --watch
  everhold user add ann                         then every client needs a name and a password
  everhold ha status --monitors http://anna:8161,http://bert:8161,http://cleo:8161
  everhold demo failover                        brokers that are killed, and nothing lost
  everhold dlq retry DLQ --filter "_AMQ_ORIG_QUEUE = 'orders'"

Exit codes:
  0 done   1 failed   2 wrong command line   3 --timeout passed before --count messages came
  130 stopped by Ctrl-C before the end
`;
