import { NodeLog } from "@everhold/node";
import { InvalidArgumentError, type Command } from "commander";
import { connect, parseDurationMs, type Connection, type TlsOptions } from "everhold";

import type { Terminal } from "./terminal/terminal.ts";

/** What every command is given besides its own arguments. */
export interface CommandContext {
  readonly terminal: Terminal;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Options that every command which talks to a broker has. */
export interface ConnectionFlags {
  readonly url?: string;
  readonly user?: string;
  readonly password?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Where commands look for a broker that nobody named. */
export const defaultUrl = "tcp://127.0.0.1:61616";

/** Adds the options that say which broker is meant and who asks. */
export function addConnectionOptions(command: Command): Command {
  return command
    .option("--url <url>", `the broker; default $EVERHOLD_URL or ${defaultUrl}`)
    .option("--user <name>", "user name; default $EVERHOLD_USER")
    .option("--password <text>", "password; better given in $EVERHOLD_PASSWORD")
    .option("--ca <file>", "speak TLS, and trust the certificates in it (PEM or PKCS12)")
    .option("--cert <file>", "speak TLS, and show this certificate; needs --key")
    .option("--key <file>", "the key of that certificate");
}

/** Connects to the broker that flags and environment name; Ctrl-C ends the attempt. */
export function connectFor(context: CommandContext, flags: ConnectionFlags): Promise<Connection> {
  const { environment, terminal } = context;
  const username = flags.user ?? environment["EVERHOLD_USER"];
  const password = flags.password ?? environment["EVERHOLD_PASSWORD"];
  return connect(flags.url ?? environment["EVERHOLD_URL"] ?? defaultUrl, {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...tlsFor(flags),
    signal: terminal.stop,
    ...(terminal.json ? { log: new NodeLog({ level: "warn", format: "json" }) } : {}),
  });
}

/** Without these a URL says alone whether TLS is spoken. */
function tlsFor({ ca, cert, key }: ConnectionFlags): { tls?: TlsOptions } {
  const files = Object.entries({ ca, cert, key }).flatMap(([name, file]) =>
    file === undefined ? [] : [[name, { file }] as const],
  );
  return files.length === 0 ? {} : { tls: Object.fromEntries(files) };
}

/** Does some work with a connection, and closes it whatever comes of it. */
export async function withConnection(
  context: CommandContext,
  flags: ConnectionFlags,
  work: (connection: Connection) => Promise<void>,
): Promise<void> {
  const connection = await connectFor(context, flags);
  try {
    await work(connection);
  } finally {
    await connection.close();
  }
}

/** Reads a whole number of at least `min` for an option. @throws InvalidArgumentError */
export function countArgument(
  min: number,
  max = Number.MAX_SAFE_INTEGER,
): (text: string) => number {
  return (text) => {
    const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (count >= min && count <= max) return count;
    const range = max === Number.MAX_SAFE_INTEGER ? `at least ${min}` : `from ${min} to ${max}`;
    throw new InvalidArgumentError(`expected a whole number, ${range}`);
  };
}

/** Reads a duration such as `5s` for an option, in milliseconds. @throws InvalidArgumentError */
export function durationArgument(text: string): number {
  const ms = parseDurationMs(text);
  if (ms !== undefined) return ms;
  throw new InvalidArgumentError("expected a duration such as 250ms, 5s or 2m");
}
