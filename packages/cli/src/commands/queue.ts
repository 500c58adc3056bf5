import type { Command } from "commander";
import { EverholdError, type Connection, type QueueInfo } from "everhold";

import {
  addConnectionOptions,
  type CommandContext,
  withConnection,
  type ConnectionFlags,
} from "../command-context.ts";
import { limits } from "../limits.ts";
import { addQueueCreateCommand } from "./queue-create.ts";
import { formatTable, printable, type Column } from "../terminal/table.ts";
import { formatCount } from "../terminal/progress-bar.ts";
import { sleep } from "../terminal/sleep.ts";
import { writeJson, type Terminal } from "../terminal/terminal.ts";

interface StatFlags extends ConnectionFlags {
  readonly watch?: boolean;
}

const columns: readonly Column<QueueInfo>[] = [
  { title: "QUEUE", text: (queue) => queue.name },
  { title: "ADDRESS", text: (queue) => queue.address },
  { title: "ROUTING", text: (queue) => queue.routing },
  { title: "KIND", text: (queue) => kindOf(queue) },
  { title: "MESSAGES", text: (queue) => formatCount(queue.messageCount), align: "right" },
  { title: "CONSUMERS", text: (queue) => formatCount(queue.consumerCount), align: "right" },
];

/** `everhold queue`: which queues there are, what is in them, and making one. */
export function addQueueCommand(program: Command, context: CommandContext): void {
  const queue = program.command("queue").description("list queues and what is in them; create one");
  addQueueCreateCommand(queue, context);
  addConnectionOptions(queue.command("ls").description("names of all queues")).action(
    async (flags: ConnectionFlags) => {
      const { terminal } = context;
      await withConnection(context, flags, async (connection) => {
        for (const name of await connection.queueNames({ signal: terminal.stop })) {
          if (terminal.json) await writeJson(terminal, { name });
          else await terminal.write(`${printable(name)}\n`);
        }
      });
    },
  );
  const stat = queue
    .command("stat [name]")
    .description("messages and consumers of all queues, or of one")
    .option("--watch", "draw anew every second until Ctrl-C");
  addConnectionOptions(stat).action(async (name: string | undefined, flags: StatFlags) => {
    await withConnection(context, flags, async (connection) => {
      if (flags.watch === true) await watch(context.terminal, connection, name);
      else await print(context.terminal, await readQueues(connection, name, context.terminal.stop));
    });
  });
}

/** All queues, or the one of this name. @throws EverholdError EVH_QUEUE_DOES_NOT_EXIST */
async function readQueues(
  connection: Connection,
  name: string | undefined,
  signal: AbortSignal,
): Promise<readonly QueueInfo[]> {
  if (name !== undefined) {
    const info = await connection.queueInfo(name, { signal });
    if (info !== undefined) return [info];
    throw new EverholdError("EVH_QUEUE_DOES_NOT_EXIST", `there is no queue ${name}`);
  }
  const queues: QueueInfo[] = [];
  for (const queueName of await connection.queueNames({ signal })) {
    const info = await connection.queueInfo(queueName, { signal });
    // A queue may go between the two questions.
    if (info !== undefined) queues.push(info);
  }
  return queues;
}

/** As {@link readQueues}; `undefined` when nobody answered, for a broker that is away may come back. */
async function readQueuesWhile(
  terminal: Terminal,
  connection: Connection,
  name: string | undefined,
): Promise<readonly QueueInfo[] | undefined> {
  try {
    return await readQueues(connection, name, terminal.stop);
  } catch (error) {
    const isAway = EverholdError.is(error, "EVH_TIMEOUT") || EverholdError.is(error, "EVH_ABORTED");
    if (isAway) return undefined;
    throw error;
  }
}

async function print(terminal: Terminal, queues: readonly QueueInfo[]): Promise<void> {
  if (!terminal.json) return terminal.write(formatTable(columns, queues));
  for (const queue of queues) await writeJson(terminal, queue);
}

/** Draws the table again and again; for programs, the lines again and again. */
async function watch(
  terminal: Terminal,
  connection: Connection,
  name: string | undefined,
): Promise<void> {
  const isScreen = process.stdout.isTTY && !terminal.json;
  if (isScreen) await terminal.write(enterScreen);
  try {
    while (!terminal.stop.aborted) {
      const queues = await readQueuesWhile(terminal, connection, name);
      if (queues === undefined) continue;
      if (isScreen) {
        const time = new Date().toLocaleTimeString();
        const count = `${formatCount(queues.length)} ${queues.length === 1 ? "queue" : "queues"}`;
        const title = `${time}  ${count}  (Ctrl-C ends)\n\n`;
        await terminal.write(home + clearToLineEnds(title + formatTable(columns, queues)));
      } else {
        await print(terminal, queues);
      }
      await sleep(limits.watchIntervalMs, terminal.stop);
    }
  } finally {
    if (isScreen) await terminal.write(leaveScreen);
  }
}

/** A screen of its own, so that what stood there before comes back at the end; cursor hidden. */
const enterScreen = "\u001B[?1049h\u001B[?25l";
const leaveScreen = "\u001B[?25h\u001B[?1049l";
const home = "\u001B[H";

/** Writes over the last picture without a flash: clears only what stands behind and below. */
function clearToLineEnds(text: string): string {
  return `${text.replaceAll("\n", "\u001B[K\n")}\u001B[J`;
}

function kindOf(queue: QueueInfo): string {
  if (queue.temporary) return "temporary";
  return queue.durable ? "durable" : "non-durable";
}
