import { InvalidArgumentError, type Command } from "commander";
import {
  EverholdError,
  startBroker,
  type ConfigFlag,
  type RunningBroker,
  type StartOptions,
} from "everhold";

import { countArgument, type CommandContext } from "../command-context.ts";
import { writeJson, type Terminal } from "../terminal/terminal.ts";

interface RunFlags {
  readonly config?: string;
  readonly data?: string;
  readonly name?: string;
  readonly host?: string;
  readonly port?: number;
  readonly logLevel?: string;
  readonly logFormat?: string;
}

/** `everhold run`: runs a broker until it is told to stop, or its storage fails. */
export function addRunCommand(program: Command, { terminal, environment }: CommandContext): void {
  program
    .command("run")
    .description("run a broker; without configuration its data is in ./everhold-data")
    .option("--config <file>", "default everhold.yaml or everhold.json of this folder, if any")
    .option("--data <folder>", "the data folder")
    .option("--name <name>", "the broker's name")
    .option("--host <host>", "where the first acceptor listens; default 127.0.0.1")
    .option("--port <port>", "its port, 0 for any; default 61616", countArgument(0, 65_535))
    .option("--log-level <level>", "debug, info, warn or error; default info")
    .option("--log-format <format>", "human or json; default human", logFormat)
    .action(async (flags: RunFlags) => {
      const { config, host, port } = flags;
      const logFormatFlag = flags.logFormat ?? (terminal.json ? "json" : undefined);
      const broker = await startUnlessStopped(terminal.stop, config, {
        environment,
        flags: configFlags({ ...flags, ...(logFormatFlag && { logFormat: logFormatFlag }) }),
        listen: {
          ...(host === undefined ? {} : { host }),
          ...(port === undefined ? {} : { port }),
        },
      });
      try {
        if (broker !== undefined) {
          await announce(terminal, broker);
          await Promise.race([broker.failed, aborted(terminal.stop)]);
        }
      } finally {
        await broker?.stop();
      }
      if (terminal.json) await writeJson(terminal, { event: "stopped" });
    });
}

/** A member may wait for its group for long. @returns undefined where it was told to stop meanwhile */
async function startUnlessStopped(
  signal: AbortSignal,
  config: string | undefined,
  options: StartOptions,
): Promise<RunningBroker | undefined> {
  try {
    return await startBroker(config, { ...options, signal });
  } catch (error) {
    if (signal.aborted && EverholdError.is(error, "EVH_ABORTED")) return undefined;
    throw error;
  }
}

function configFlags(flags: RunFlags): readonly ConfigFlag[] {
  const named: readonly ConfigFlag[] = [
    { flag: "--data", path: ["data"], value: flags.data },
    { flag: "--name", path: ["name"], value: flags.name },
    { flag: "--log-level", path: ["log", "level"], value: flags.logLevel },
    { flag: "--log-format", path: ["log", "format"], value: flags.logFormat },
  ];
  return named.filter((flag) => flag.value !== undefined);
}

async function announce(terminal: Terminal, broker: RunningBroker): Promise<void> {
  const { urls, dataFolder, loopbackOnly, loginRequired, member } = broker;
  if (terminal.json) {
    const { pid } = process;
    const inGroup = member === undefined ? {} : { group: member.group, member: member.status.id };
    await writeJson(terminal, {
      event: "started",
      url: urls[0],
      urls,
      dataFolder,
      loopbackOnly,
      loginRequired,
      ...inGroup,
      pid,
    });
    return;
  }
  if (member !== undefined) {
    await terminal.write(
      [
        `Everhold runs as ${member.status.id} of the group ${member.group}`,
        `  data     ${dataFolder}`,
        "  clients  are let in while it leads",
        ...(broker.monitorUrl === undefined
          ? []
          : [`  group    npx everhold ha status --monitors ${broker.monitorUrl}`]),
        "Ctrl-C lets another member take over, and stops this one in order.",
        "",
      ].join("\n"),
    );
    return;
  }
  const isDefault = urls[0] === "tcp://127.0.0.1:61616";
  const at = isDefault ? "" : ` --url ${urls[0] ?? ""}`;
  const login = loginRequired ? " --user NAME --password WORD" : "";
  const access = loginRequired ? "configured users" : "no users configured";
  await terminal.write(
    [
      `Everhold listens on ${urls.join(" and ")}`,
      `  data     ${dataFolder}`,
      `  access   ${access}${loopbackOnly ? ": loopback only" : ""}`,
      `  send     npx everhold send orders 'two apples'${at}${login}`,
      `  consume  npx everhold consume orders --count 1${at}${login}`,
      "Ctrl-C stops it in order.",
      "",
    ].join("\n"),
  );
}

function logFormat(text: string): string {
  if (text === "human" || text === "json") return text;
  throw new InvalidArgumentError("expected human or json");
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
