import { InvalidArgumentError, type Command } from "commander";
import { EverholdError } from "everhold";

import {
  addConnectionOptions,
  countArgument,
  withConnection,
  type CommandContext,
  type ConnectionFlags,
} from "../command-context.ts";
import { DeadLetterQueues, type DeadLetter, type DeadLetterQueue } from "../dead-letter-queues.ts";
import { isoTime } from "../iso-time.ts";
import { limits } from "../limits.ts";
import { confirm } from "../terminal/confirm.ts";
import { formatCount, ProgressBar } from "../terminal/progress-bar.ts";
import { sleep } from "../terminal/sleep.ts";
import { formatTable, type Column } from "../terminal/table.ts";
import { writeJson, type Terminal } from "../terminal/terminal.ts";
import { UsageError } from "../usage-error.ts";

interface ChoiceFlags extends ConnectionFlags {
  readonly filter?: string;
  readonly id?: readonly number[];
}

interface ShowFlags extends ConnectionFlags {
  readonly filter?: string;
  readonly limit: number;
}

interface PurgeFlags extends ChoiceFlags {
  readonly yes?: boolean;
}

const queueColumns: readonly Column<DeadLetterQueue>[] = [
  { title: "QUEUE", text: (one) => one.queue },
  { title: "ADDRESS", text: (one) => one.address },
  { title: "HOLDS", text: (one) => one.kind },
  { title: "MESSAGES", text: (one) => formatCount(one.messageCount), align: "right" },
];

const letterColumns: readonly Column<DeadLetter>[] = [
  { title: "ID", text: (letter) => String(letter.id) },
  { title: "FROM", text: (letter) => letter.from ?? "(unknown)" },
  { title: "SENT", text: (letter) => timeText(letter.timestamp) },
  { title: "CAUSE", text: (letter) => letter.cause ?? "" },
  { title: "REASON", text: (letter) => letter.reason ?? "" },
];

/** `everhold dlq`: what became of messages that nobody could handle, and what is to become of them. */
export function addDlqCommand(program: Command, context: CommandContext): void {
  const dlq = program
    .command("dlq")
    .description("dead letters and expired messages: list, show, give back, remove");
  addConnectionOptions(dlq.command("ls").description("the queues where they lie")).action(
    (flags: ConnectionFlags) => withQueues(context, flags, (queues) => list(context, queues)),
  );
  const show = dlq
    .command("show <queue>")
    .description("the first messages: where they come from, and why they are there")
    .option("--limit <n>", "show at most so many", limitArgument, limits.deadLettersShownDefault)
    .option("--filter <selector>", "only messages that match, such as \"_AMQ_ORIG_QUEUE = 'q'\"");
  addConnectionOptions(show).action((queue: string, flags: ShowFlags) =>
    withQueues(context, flags, (queues) => showMessages(context.terminal, queues, queue, flags)),
  );
  const retry = dlq
    .command("retry <queue>")
    .description("give messages back to the queues they came from, to be delivered as new ones");
  addChoice(retry).action((queue: string, flags: ChoiceFlags) =>
    withQueues(context, flags, (queues) => retryMessages(context.terminal, queues, queue, flags)),
  );
  const purge = dlq.command("purge <queue>").description("remove messages for good");
  addChoice(purge)
    .option("--yes", "without asking")
    .action((queue: string, flags: PurgeFlags) =>
      withQueues(context, flags, (queues) => purgeMessages(context.terminal, queues, queue, flags)),
    );
}

function addChoice(command: Command): Command {
  return addConnectionOptions(
    command
      .option("--id <n...>", "only these messages, as `dlq show` names them", idArgument)
      .option("--filter <selector>", "only messages that match"),
  );
}

async function list({ terminal }: CommandContext, queues: DeadLetterQueues): Promise<void> {
  const found = await queues.list();
  if (!terminal.json) return terminal.write(formatTable(queueColumns, found));
  for (const one of found) await writeJson(terminal, one);
}

async function showMessages(
  terminal: Terminal,
  queues: DeadLetterQueues,
  queue: string,
  { filter = "", limit }: ShowFlags,
): Promise<void> {
  await queues.get(queue);
  const letters = (await queues.messages(queue, filter)).slice(0, limit);
  if (!terminal.json) return terminal.write(formatTable(letterColumns, letters));
  for (const { all, ...said } of letters) await writeJson(terminal, { ...said, message: all });
}

async function retryMessages(
  terminal: Terminal,
  queues: DeadLetterQueues,
  queue: string,
  flags: ChoiceFlags,
): Promise<void> {
  checkChoice(flags);
  await queues.get(queue);
  const { filter = "", id } = flags;
  if (id !== undefined) {
    const retried = await doneOf(id, (one) => queues.retryOne(queue, one));
    await report(terminal, "retried", retried.length, queue);
    refuseMissing(queue, id, retried, "or the queue that it came from is gone");
    return;
  }
  const retried = await watched(terminal, queues, queue, filter, "retry", () =>
    queues.retry(queue, filter),
  );
  await report(terminal, "retried", retried, queue);
  await refuseHomeless(queues, queue, filter);
}

async function purgeMessages(
  terminal: Terminal,
  queues: DeadLetterQueues,
  queue: string,
  flags: PurgeFlags,
): Promise<void> {
  checkChoice(flags);
  await queues.get(queue);
  const { filter = "", id } = flags;
  const count = id?.length ?? (await queues.count(queue, filter));
  if (flags.yes !== true) {
    const question = `Remove ${formatCount(count)} of the messages in ${queue} for good? (yes) `;
    if (!(await confirm(terminal, question)))
      throw new UsageError("nothing is removed without yes; --yes says it");
  }
  if (id !== undefined) {
    const removed = await doneOf(id, (one) => queues.removeOne(queue, one));
    await report(terminal, "removed", removed.length, queue);
    refuseMissing(queue, id, removed, "or a consumer holds it");
    return;
  }
  const removed = await watched(terminal, queues, queue, filter, "purge", () =>
    queues.remove(queue, filter),
  );
  await report(terminal, "removed", removed, queue);
}

/** Does what takes long, and shows how far it is by what is left in the queue. */
async function watched(
  terminal: Terminal,
  queues: DeadLetterQueues,
  queue: string,
  filter: string,
  label: string,
  work: () => Promise<number>,
): Promise<number> {
  const total = await queues.count(queue, filter);
  const bar = new ProgressBar(terminal, { label, total });
  const begin = await queues.messageCount(queue);
  const over = new AbortController();
  const watch = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await sleep(limits.progressIntervalMs, over.signal);
      if (!over.signal.aborted) bar.update(Math.max(0, begin - (await queues.messageCount(queue))));
    }
  };
  const watching = terminal.interactive ? watch() : Promise.resolve();
  try {
    return await work();
  } finally {
    over.abort();
    // What it could not read any more is no matter: the work says how it ended.
    await watching.catch(() => undefined);
    bar.clear();
  }
}

/** Says which messages stay because there is nowhere to go back to. */
async function refuseHomeless(
  queues: DeadLetterQueues,
  queue: string,
  filter: string,
): Promise<void> {
  if ((await queues.count(queue, filter)) === 0) return;
  const gone: string[] = [];
  let count = 0;
  for (const [name, messages] of await queues.countByOrigin(queue, filter)) {
    const isKnown = name !== "null";
    if (isKnown && (await queues.exists(name))) continue;
    count += messages;
    gone.push(isKnown ? name : "(unknown)");
  }
  if (count === 0) return;
  throw new EverholdError(
    "EVH_QUEUE_DOES_NOT_EXIST",
    `${formatCount(count)} of the messages in ${queue} stay there: the queues that they came from do not exist: ${gone.join(", ")}`,
  );
}

function refuseMissing(
  queue: string,
  asked: readonly number[],
  done: readonly number[],
  otherwise: string,
): void {
  const missing = asked.filter((id) => !done.includes(id));
  if (missing.length === 0) return;
  throw new EverholdError(
    "EVH_REJECTED",
    `not done for ${missing.join(", ")}: there is no such message in ${queue}, ${otherwise}`,
  );
}

async function report(
  terminal: Terminal,
  verb: "retried" | "removed",
  count: number,
  queue: string,
): Promise<void> {
  if (terminal.json) return writeJson(terminal, { queue, [verb]: count });
  const noun = count === 1 ? "message" : "messages";
  await terminal.write(`${verb} ${formatCount(count)} ${noun} of ${queue}\n`);
}

async function doneOf(
  ids: readonly number[],
  work: (id: number) => Promise<boolean>,
): Promise<number[]> {
  const done: number[] = [];
  for (const id of ids) if (await work(id)) done.push(id);
  return done;
}

function withQueues(
  context: CommandContext,
  flags: ConnectionFlags,
  work: (queues: DeadLetterQueues) => Promise<void>,
): Promise<void> {
  return withConnection(context, flags, (connection) =>
    work(new DeadLetterQueues(connection, context.terminal.stop)),
  );
}

function checkChoice({ filter, id }: ChoiceFlags): void {
  if (filter !== undefined && id !== undefined) {
    throw new UsageError("--id and --filter choose messages in two ways, expected one of them");
  }
}

const limitArgument = countArgument(1, limits.deadLettersShownMax);

/** One more id. @throws InvalidArgumentError */
function idArgument(text: string, before: readonly number[] = []): readonly number[] {
  const id = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(id)) return [...before, id];
  throw new InvalidArgumentError("expected the id of a message, a whole number");
}

function timeText(timestamp: number): string {
  return timestamp === 0 ? "" : isoTime(timestamp).slice(0, 19).replace("T", " ");
}
