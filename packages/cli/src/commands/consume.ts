import { createWriteStream, type WriteStream } from "node:fs";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

import type { Command } from "commander";
import { EverholdError, type Connection, type Consumer, type Message } from "everhold";

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
import { bodyText, messageToObject } from "../message-lines.ts";
import { PendingWork } from "../terminal/pending-work.ts";
import { formatCount, ProgressBar } from "../terminal/progress-bar.ts";
import type { Terminal } from "../terminal/terminal.ts";

interface ConsumeFlags extends ConnectionFlags {
  readonly count?: number;
  readonly timeout?: number;
  readonly filter?: string;
  readonly ack: boolean;
  readonly out?: string;
  readonly bodies?: string;
  readonly topic?: boolean;
}

/** `everhold consume`: takes messages, writes them out, and acknowledges each once it is written. */
export function addConsumeCommand(program: Command, context: CommandContext): void {
  const command = program
    .command("consume <queue>")
    .description("take messages, one line each; acknowledged once written. Ctrl-C ends it")
    .option("--count <n>", "end after so many; default: never", countArgument(1))
    .option(
      "--timeout <duration>",
      "end when nothing comes for so long, such as 5s; a bare number is in milliseconds",
      durationArgument,
    )
    .option("--filter <selector>", "only messages that match, such as \"colour = 'red'\"")
    .option("--no-ack", "leave the messages in the queue")
    .option("--topic", "subscribe to a topic for as long as this runs")
    .option("--out <file>", "write JSON lines to a file, for send --file")
    .option("--bodies <folder>", "write each body to a file of its own, of whatever size");
  addConnectionOptions(command).action(async (queue: string, flags: ConsumeFlags) => {
    const connection = await connectFor(context, flags);
    try {
      await consumeAll(context.terminal, openConsumer(connection, queue, flags), flags);
    } finally {
      await connection.close();
    }
  });
}

function openConsumer(connection: Connection, queue: string, flags: ConsumeFlags): Consumer {
  const { count = Number.POSITIVE_INFINITY } = flags;
  const options = {
    ...(flags.filter === undefined ? {} : { filter: flags.filter }),
    // Who wants a few takes no more than a few from other consumers, even for a moment.
    ...(flags.bodies === undefined ? {} : { streamAbove: 0 }),
    ...(count <= limits.exactPrefetchMax ? { prefetch: count } : {}),
  };
  return flags.topic === true
    ? connection.subscribe(queue, options)
    : connection.consumer(queue, options);
}

async function consumeAll(
  terminal: Terminal,
  consumer: Consumer,
  flags: ConsumeFlags,
): Promise<void> {
  const output = flags.out === undefined ? undefined : await openOutput(flags.out);
  const bar = output && new ProgressBar(terminal, { label: "consuming", total: flags.count });
  const pending = new PendingWork(limits.acknowledgementsInFlightMax);
  const over = AbortSignal.any([terminal.stop, pending.failed]);
  let received = 0;
  try {
    if (!(await isReady(terminal, consumer))) return await report(terminal, 0, flags);
    while (flags.count === undefined || received < flags.count) {
      const message = await receive(over, consumer, flags);
      if (message === null) break;
      received++;
      await pending.add(handle(terminal, output, message, flags, received));
      bar?.update(received);
    }
    await pending.settle();
  } finally {
    bar?.clear();
    output?.end();
    await consumer.close();
  }
  await report(terminal, received, flags);
}

/** Whether the consumer stands: the time to open it is none in which a message did not come. */
async function isReady(terminal: Terminal, consumer: Consumer): Promise<boolean> {
  const ready = await unlessOver(terminal.stop, async () => {
    await consumer.ready({ signal: terminal.stop, timeout: limits.openTimeoutMs });
    return true;
  });
  return ready === true;
}

async function receive(
  over: AbortSignal,
  consumer: Consumer,
  flags: ConsumeFlags,
): Promise<Message | null> {
  const { timeout } = flags;
  return unlessOver(over, () =>
    consumer.receive({
      signal: over,
      ...(timeout === undefined ? {} : { timeout }),
    }),
  );
}

/** What `work` gives; `null` when `over` ended it, for Ctrl-C is how a consumer is meant to end. */
async function unlessOver<T>(over: AbortSignal, work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (EverholdError.is(error, "EVH_ABORTED") && over.aborted) return null;
    throw error;
  }
}

/** A message is acknowledged only when it is written, so that none is lost between here and there. */
async function handle(
  terminal: Terminal,
  output: WriteStream | undefined,
  message: Message,
  flags: ConsumeFlags,
  number: number,
): Promise<void> {
  if (flags.bodies !== undefined) {
    const file = await writeBody(flags.bodies, message, number);
    const { id, bodySize } = message;
    await terminal.write(`${terminal.json ? JSON.stringify({ file, id, bodySize }) : file}\n`);
    if (flags.ack) await message.ack();
    return;
  }
  const json = terminal.json || output !== undefined;
  const line = json ? JSON.stringify(messageToObject(message)) : bodyText(message);
  if (output === undefined) await terminal.write(`${line}\n`);
  else await writeTo(output, `${line}\n`);
  if (flags.ack) await message.ack();
}

/** Writes a body to a new file as it comes, and says which. A file that is there already is left alone. */
async function writeBody(folder: string, message: Message, number: number): Promise<string> {
  const name = message.id.replaceAll(/[^A-Za-z0-9-]/g, "-");
  const file = join(folder, `${String(number).padStart(6, "0")}-${name}`);
  try {
    await mkdir(folder, { recursive: true });
    await pipeline(message.bodyStream(), createWriteStream(file, { flags: "wx", flush: true }));
  } catch (cause) {
    throw fileError("write", file, cause);
  }
  return file;
}

async function report(terminal: Terminal, received: number, flags: ConsumeFlags): Promise<void> {
  const isIncomplete = flags.count !== undefined && received < flags.count;
  if (isIncomplete) {
    process.exitCode = terminal.stop.aborted ? exitCodes.interrupted : exitCodes.incomplete;
  }
  if (terminal.json) return;
  const target = flags.out === undefined ? "" : ` into ${flags.out}`;
  const wanted = isIncomplete ? ` of ${formatCount(flags.count)}` : "";
  if (flags.out !== undefined || isIncomplete) {
    terminal.writeError(`received ${formatCount(received)}${wanted} messages${target}\n`);
  }
}

async function openOutput(file: string): Promise<WriteStream> {
  const output = createWriteStream(file);
  try {
    await once(output, "open");
  } catch (cause) {
    throw fileError("write", file, cause);
  }
  // Every write is told of its own failure.
  output.on("error", () => undefined);
  return output;
}

function writeTo(output: WriteStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    output.write(text, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(fileError("write", String(output.path), error));
    });
  });
}
