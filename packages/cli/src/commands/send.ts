import { isUtf8 } from "node:buffer";
import { constants, createReadStream } from "node:fs";
import { access } from "node:fs/promises";
import { createInterface } from "node:readline";
import { buffer as readBytes } from "node:stream/consumers";

import { InvalidArgumentError, type Command } from "commander";
import type { Body, Connection, SendOptions, StreamBody } from "everhold";

import {
  addConnectionOptions,
  connectFor,
  countArgument,
  durationArgument,
  type CommandContext,
  type ConnectionFlags,
} from "../command-context.ts";
import { exitCodes } from "../exit-codes.ts";
import { fileError } from "../file-error.ts";
import { limits } from "../limits.ts";
import { parseMessageLine, type MessageLine } from "../message-lines.ts";
import { PendingWork } from "../terminal/pending-work.ts";
import { formatCount, ProgressBar } from "../terminal/progress-bar.ts";
import { sleep } from "../terminal/sleep.ts";
import { writeJson, type Terminal } from "../terminal/terminal.ts";
import { UsageError } from "../usage-error.ts";

interface SendFlags extends ConnectionFlags {
  readonly count: number;
  readonly file?: string;
  readonly bodyFile?: string;
  readonly property?: Readonly<Record<string, string | number | boolean>>;
  readonly ttl?: number;
  readonly priority?: number;
  readonly nonDurable?: boolean;
  readonly multicast?: boolean;
  readonly rate?: number;
}

/** As a line of a file says it, or with a body that is read as it is sent. */
type OutgoingLine = Omit<MessageLine, "body"> & { readonly body: Body | StreamBody };

/** What is to be sent, until `over` is aborted, which nobody who writes to standard input need notice. */
type OutgoingLines = (over: AbortSignal) => AsyncIterable<OutgoingLine>;

/** `everhold send`: sends messages and waits until the broker has each safe. */
export function addSendCommand(program: Command, context: CommandContext): void {
  const command = program
    .command("send <address> [body]")
    .description(
      "send messages; done when the broker has each safe. A body of - is all of stdin, as one " +
        "message: text when it is UTF-8, else bytes",
    )
    .option("--count <n>", "send the body so often", countArgument(1), 1)
    .option("--file <file>", "send each line of a file (- is stdin) as consume --json wrote it")
    .option("--body-file <file>", "send a file as the body of a message, of whatever size")
    .option("--property <name=value>", "set a property; may be given again", propertyArgument)
    .option(
      "--ttl <duration>",
      "let the messages expire after it, such as 5s; a bare number is in milliseconds",
      durationArgument,
    )
    .option("--priority <n>", "0 to 9; default 4", countArgument(0, 9))
    .option("--non-durable", "keep the messages in memory only")
    .option("--multicast", "to every queue of the address instead of one of them")
    .option("--rate <n>", "at most so many messages a second", countArgument(1));
  addConnectionOptions(command).action(
    async (address: string, body: string | undefined, flags: SendFlags) => {
      const lines = messageLines(body, flags);
      const connection = await connectFor(context, flags);
      try {
        await sendAll(context.terminal, connection, address, lines, flags);
      } finally {
        await connection.close();
      }
    },
  );
}

async function sendAll(
  terminal: Terminal,
  connection: Connection,
  address: string,
  lines: OutgoingLines,
  flags: SendFlags,
): Promise<void> {
  const producer = connection.producer(address, {
    ...sendDefaults(flags),
    routing: flags.multicast === true ? "multicast" : "anycast",
  });
  const total = flags.file === undefined ? flags.count : undefined;
  const bar = new ProgressBar(terminal, { label: `sending to ${address}`, total });
  const pending = new PendingWork(limits.sendsInFlightMax);
  const startedMs = performance.now();
  let sent = 0;
  let confirmed = 0;
  try {
    for await (const { body, options } of lines(AbortSignal.any([terminal.stop, pending.failed]))) {
      if (terminal.stop.aborted) break;
      await untilDue(startedMs, sent, flags.rate, terminal.stop);
      const send = producer.send(body, options).then(() => {
        confirmed++;
        bar.update(confirmed);
      });
      sent++;
      await pending.add(send);
    }
  } finally {
    if (terminal.stop.aborted && pending.count > 0) {
      bar.clear();
      const count = formatCount(pending.count);
      terminal.writeError(`waiting for the broker to confirm ${count}; Ctrl-C again gives up\n`);
    }
    // Also when a line is wrong: what was sent before it is to arrive.
    await pending.settle();
    bar.clear();
  }
  const seconds = (performance.now() - startedMs) / 1_000;
  if (terminal.json) {
    await writeJson(terminal, { address, sent: confirmed, seconds: Number(seconds.toFixed(3)) });
  } else {
    const messages = confirmed === 1 ? "message" : "messages";
    await terminal.write(
      `sent ${formatCount(confirmed)} ${messages} to ${address} in ${seconds.toFixed(2)} s\n`,
    );
  }
  if (terminal.stop.aborted) process.exitCode = exitCodes.interrupted;
}

function sendDefaults(flags: SendFlags): SendOptions {
  const { ttl, priority, property, nonDurable } = flags;
  return {
    durable: nonDurable !== true,
    ...(ttl === undefined ? {} : { ttl }),
    ...(priority === undefined ? {} : { priority }),
    ...(property === undefined ? {} : { properties: property }),
  };
}

function messageLines(body: string | undefined, flags: SendFlags): OutgoingLines {
  const { file, bodyFile, count } = flags;
  const sources = [body, file, bodyFile].filter((source) => source !== undefined);
  if (sources.length > 1) throw new UsageError("expected one of a body, --file and --body-file");
  if (file !== undefined) return (over) => fileLines(file, over);
  if (bodyFile !== undefined) return () => repeated(() => fileBody(bodyFile), count);
  if (body === undefined) throw new UsageError("expected a body, - or --file");
  return () =>
    repeated(
      async () => (body === "-" ? textOrBytes(await readBytes(process.stdin)) : body),
      count,
    );
}

/** Looks for the file before anything is sent; it is read as it is sent, again after a broken connection. */
async function fileBody(file: string): Promise<StreamBody> {
  try {
    await access(file, constants.R_OK);
  } catch (cause) {
    throw fileError("read", file, cause);
  }
  return () => createReadStream(file, { highWaterMark: limits.bodyPieceBytes });
}

async function* repeated(
  read: () => Promise<Body | StreamBody>,
  count: number,
): AsyncGenerator<OutgoingLine> {
  const content = await read();
  for (let index = 0; index < count; index++) yield { body: content, options: {} };
}

/** Only what is text survives being read as text. */
function textOrBytes(bytes: Uint8Array): Body {
  return isUtf8(bytes) ? new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes) : bytes;
}

async function* fileLines(file: string, over: AbortSignal): AsyncGenerator<MessageLine> {
  let lineNumber = 0;
  for await (const line of linesOf(file, over)) {
    lineNumber++;
    if (line.trim() === "") continue;
    try {
      yield parseMessageLine(line);
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      throw new Error(`${file}:${lineNumber}: ${problem}`, { cause: error });
    }
  }
}

async function* linesOf(file: string, over: AbortSignal): AsyncGenerator<string> {
  const input = file === "-" ? process.stdin : createReadStream(file);
  try {
    yield* createInterface({ input, crlfDelay: Infinity, signal: over });
  } catch (cause) {
    throw fileError("read", file, cause);
  }
}

/** Waits until message `index` is due, when there is a rate. */
async function untilDue(
  startedMs: number,
  index: number,
  rate: number | undefined,
  stop: AbortSignal,
): Promise<void> {
  if (rate === undefined) return;
  const waitMs = startedMs + (index * 1_000) / rate - performance.now();
  if (waitMs >= 1) await sleep(waitMs, stop);
}

/** `size=5` is a number, `hot=true` a truth value, anything else a text; `'n="5"'` is a text too. */
function propertyArgument(
  text: string,
  previous: Readonly<Record<string, string | number | boolean>> = {},
): Readonly<Record<string, string | number | boolean>> {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError("expected name=value");
  return { ...previous, [text.slice(0, equals)]: propertyValue(text.slice(equals + 1)) };
}

function propertyValue(text: string): string | number | boolean {
  if (text === "true" || text === "false") return text === "true";
  if (/^-?\d+(?:\.\d+)?$/.test(text)) return Number(text);
  return /^".*"$/.test(text) ? text.slice(1, -1) : text;
}
