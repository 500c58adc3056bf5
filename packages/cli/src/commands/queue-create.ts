import type { Command } from "commander";
import type { NewQueue, QueueInfo, QueueKind } from "everhold";

import {
  addConnectionOptions,
  countArgument,
  durationArgument,
  withConnection,
  type CommandContext,
  type ConnectionFlags,
} from "../command-context.ts";
import { printable } from "../terminal/table.ts";
import type { Terminal } from "../terminal/terminal.ts";

interface CreateFlags extends ConnectionFlags, QueueKind {
  readonly address?: string;
  readonly multicast?: boolean;
  readonly durable: boolean;
  readonly filter?: string;
  readonly maxConsumers?: number;
  readonly disabled?: boolean;
}

/** `everhold queue create`: a queue of any kind; what is not said comes from the settings of its address. */
export function addQueueCreateCommand(queue: Command, context: CommandContext): void {
  const create = queue
    .command("create <name>")
    .description("create a queue with its address; one that exists stays as it is")
    .option("--address <name>", "the address it belongs to; default its own name")
    .option("--multicast", "it gets a copy of every message of its address")
    .option("--no-durable", "it does not survive a restart of the broker")
    .option("--filter <selector>", "it takes only messages that match")
    .option("--max-consumers <count>", "how many consumers it may have", countArgument(0))
    .option("--exclusive", "one consumer gets everything, until it leaves")
    .option("--last-value", "of messages with the same value only the newest is kept")
    .option("--last-value-key <property>", "the property whose value that is")
    .option("--non-destructive", "what consumers acknowledge stays for the others")
    .option("--ring-size <count>", "messages that may wait before the oldest go", countArgument(0))
    .option("--group-buckets <count>", "groups that are told apart, 0 for none", countArgument(0))
    .option("--group-first-key <property>", "marks a group's first message for its consumer")
    .option("--group-rebalance", "groups are dealt out anew when a consumer comes")
    .option("--group-rebalance-pause-dispatch", "when everything has been settled before that")
    .option(
      "--consumers-before-dispatch <count>",
      "nothing is delivered before so many are there",
      countArgument(0),
    )
    .option(
      "--delay-before-dispatch <duration>",
      "or so long after the first of them came",
      durationArgument,
    )
    .option("--purge-on-no-consumers", "it is empty while nobody consumes from it")
    .option("--auto-delete", "it goes when nobody needs it")
    .option("--auto-delete-delay <duration>", "how long after that", durationArgument)
    .option("--auto-delete-message-count <count>", "with so many messages", countArgument(0))
    .option("--disabled", "it takes no messages");
  addConnectionOptions(create).action(async (name: string, flags: CreateFlags) => {
    const { terminal } = context;
    await withConnection(context, flags, async (connection) => {
      const wait = { signal: terminal.stop };
      const existing = await connection.queueInfo(name, wait);
      await connection.createQueue(name, queueOf(flags), wait);
      if (existing !== undefined) tellExisting(terminal, existing);
    });
  });
}

/** It may be of another kind than was asked for. */
function tellExisting(terminal: Terminal, queue: QueueInfo): void {
  if (terminal.json) return terminal.writeError(`${JSON.stringify({ existing: queue })}\n`);
  const { name, routing, address } = queue;
  terminal.writeError(
    `queue ${printable(name)} exists and stays as it is: ${routing}, at ${printable(address)}\n`,
  );
}

function queueOf(flags: CreateFlags): NewQueue {
  const { url: _url, user: _user, password: _password, multicast, disabled, ...said } = flags;
  return {
    ...said,
    ...(multicast === true ? { routing: "multicast" as const } : {}),
    ...(disabled === true ? { enabled: false } : {}),
  };
}
