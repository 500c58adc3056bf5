import type { Consumer, Message } from "@everhold/client";
import { bodyOf } from "./content.ts";
import type { ProcessContext, Program } from "./client-process.ts";

/** What a consuming program listens to. */
export interface ConsumingPlan {
  readonly open: (context: ProcessContext) => Consumer;
  /** How often, 0 … 1, a message is given back instead of acknowledged. */
  readonly releaseProbability: number;
  /** Longest time that a message is worked on, in ms. */
  readonly workMsMax: number;
}

/** Takes messages and settles each, some at once and some later, until the scenario ends. */
export function consuming(plan: ConsumingPlan): Program {
  return async (context) => {
    const consumer = await context.insist(async () => {
      const opened = plan.open(context);
      await opened.ready();
      return opened;
    });
    context.ready();
    for await (const message of consumer) {
      receive(context, message);
      if (context.prng.chance(0.3)) await context.sleep(context.prng.fraction() * plan.workMsMax);
      settle(context, message, context.prng.chance(plan.releaseProbability));
    }
  };
}

/** Tells the oracle of a delivery, and checks that it is whole. @returns the message's id */
export function receive({ oracle, note, link }: ProcessContext, message: Message): string {
  const queue = oracle.queueOf(message.queue, sentTo(message));
  const id = String(message.properties["id"]);
  const chars = Number(message.properties["chars"]);
  note(
    message.redelivered ? "receives again" : "receives",
    `${id} from ${message.queue}, of ${queue}`,
  );
  const { redelivered } = message;
  const isDeadLetter = message.queue !== queue;
  oracle.delivered({ queue, id, redelivered, isDeadLetter, link: link() });
  if (message.text() !== bodyOf(id, chars)) oracle.damaged(queue, id);
  return id;
}

/** Where a message was sent; one that was moved carries the address where it lies now. */
function sentTo(message: Message): string {
  const original = message.properties["_AMQ_ORIG_ADDRESS"];
  return typeof original === "string" ? original : message.address;
}

function settle(
  { ledger, oracle, note }: ProcessContext,
  message: Message,
  release: boolean,
): void {
  const id = String(message.properties["id"]);
  const queue = oracle.queueOf(message.queue, sentTo(message));
  if (release) {
    note("releases", id);
    ledger.begin(`release ${id}`, () => message.release());
    return;
  }
  note("acknowledges", id);
  oracle.acknowledgeStarted(queue, id);
  ledger.begin(
    `acknowledge ${id}`,
    () => message.ack(),
    (outcome) => {
      note("acknowledged", `${id} ${outcome}`);
      oracle.acknowledgeSettled(queue, id, outcome);
    },
  );
}
