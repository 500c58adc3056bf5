import { EverholdError } from "@everhold/base";
import type { Consumer, Message, Producer, Session } from "@everhold/client";
import type { ProcessContext, Program } from "./client-process.ts";
import { receive } from "./consuming.ts";
import { bodyOf, pickDeliverAt, pickTimeout } from "./content.ts";

/** From which queue to which address. */
export interface TransferringPlan {
  readonly from: string;
  readonly to: string;
}

/** What one program transfers with. */
interface Tools {
  readonly context: ProcessContext;
  readonly plan: TransferringPlan;
  readonly session: Session;
  readonly consumer: Consumer;
  readonly producer: Producer;
  /** Counts what was sent. */
  sequence: number;
}

/**
 * Moves messages: takes up to some at a time, sends as many of its own, acknowledges what it took, and
 * commits or rolls back the whole.
 */
export function transferring(plan: TransferringPlan): Program {
  return async (context) => {
    const session = await context.insist(() => context.connection.session({ transacted: true }));
    const consumer = session.consumer(plan.from);
    await consumer.ready();
    const producer = session.producer(plan.to, { routing: "anycast" });
    const tools: Tools = { context, plan, session, consumer, producer, sequence: 0 };
    context.ready();
    for (let number = 1; !context.ending(); number += 1) {
      const message = await consumer.receive({ timeout: 500 });
      if (message !== null) await transact(tools, `${context.name}#${number}`, message);
    }
  };
}

async function transact(tools: Tools, transaction: string, first: Message): Promise<void> {
  const { session, consumer, context } = tools;
  const { ledger, oracle, prng, note } = context;
  const rollsBack = prng.chance(0.15);
  const wanted = prng.integer(1, 5);
  await ledger.track(
    transaction,
    async () => {
      move(tools, transaction, first);
      for (let taken = 1; taken < wanted; taken += 1) {
        const message = await consumer.receive({ timeout: 20 });
        if (message === null) break;
        move(tools, transaction, message);
      }
      await (rollsBack ? session.rollback() : commit(session, pickTimeout(prng)));
    },
    (outcome) => {
      note(rollsBack ? "rolled back" : "committed", `${transaction} ${outcome}`);
      if (outcome === "unknown" && !ledger.isAbandoned) oracle.doubtLeft(transaction);
      oracle.transactionEnded(transaction, rollsBack ? "none" : outcome);
    },
  );
}

/** What has not left in time is still there, and is undone. */
async function commit(session: Session, wait: { readonly timeout?: number }): Promise<void> {
  try {
    await session.commit(wait);
  } catch (error) {
    if (EverholdError.is(error, "EVH_TIMEOUT")) await session.rollback();
    throw error;
  }
}

/** Acknowledges a message and sends one of our own, as part of the transaction. */
function move(tools: Tools, transaction: string, message: Message): void {
  const { context, plan, producer } = tools;
  const { name, ledger, oracle, prng, note, wallMs } = context;
  const takenId = receive(context, message);
  oracle.acknowledgeStarted(plan.from, takenId, transaction);
  ledger.begin(`acknowledge ${takenId} in ${transaction}`, () => message.ack());
  tools.sequence += 1;
  const { sequence } = tools;
  const id = `${name}-${sequence}`;
  const body = bodyOf(id, prng.integer(20, 2000));
  const deliverAt = pickDeliverAt(prng, wallMs());
  const options = deliverAt === undefined ? {} : { deliverAt };
  note("moves", `${takenId} as ${id} in ${transaction}, ${JSON.stringify(options)}`);
  oracle.sendStarted({
    id,
    producer: name,
    sequence,
    address: plan.to,
    durable: true,
    transaction,
    ...options,
  });
  const properties = { id, chars: body.length };
  ledger.begin(
    `send ${id} in ${transaction}`,
    () => producer.send(body, { ...options, properties }),
    (outcome) => {
      if (outcome === "none") note("refused", id);
      oracle.sendSettled(id, outcome);
    },
  );
}
