import { connect, EverholdError, type Connection, type Consumer, type Message } from "everhold";

import { FlightArchive } from "./archive.ts";
import { EffectLedger } from "./effect-ledger.ts";
import { FlightStatistics, type Flight } from "./flight-statistics.ts";
import { parseFlight } from "./flights.ts";
import { answerWatch, tell } from "./role.ts";
import { progressSteps, type RoleTask } from "./role-messages.ts";
import { silentLog, topic } from "./demo-topic.ts";

/** Silence after the last flight, in which something that should not come would come. */
const quietMs = 500;

/**
 * A durable subscriber of the demo: `stats` computes statistics, `archive` writes a file. Each message
 * takes effect at its first delivery and is settled; what the broker delivers again is settled again.
 */
export class Subscriber {
  readonly #task: RoleTask;
  readonly #ledger: EffectLedger;
  readonly #statistics = new FlightStatistics();
  readonly #archive: FlightArchive | undefined;
  readonly #finish = new AbortController();
  #noteAnswer: () => void = () => undefined;
  #acknowledging = 0;
  #failure: unknown;

  constructor(task: RoleTask) {
    this.#task = task;
    this.#ledger = new EffectLedger(task.total);
    this.#archive = task.role === "archive" ? new FlightArchive(task.folder) : undefined;
  }

  finish(): void {
    this.#finish.abort();
  }

  async run(): Promise<void> {
    const { url, role } = this.#task;
    const connection = await connect(url, { clientId: `demo-${role}`, log: silentLog });
    this.#noteAnswer = answerWatch(connection);
    const consumer = connection.subscribe(topic, { name: role, durable: true });
    await consumer.ready();
    tell({ kind: "ready" });
    while (!this.#finish.signal.aborted) {
      const isAllHere = this.#ledger.received === this.#task.total && this.#acknowledging === 0;
      const message = await consumer.receive({ timeout: quietMs });
      if (message !== null) this.#take(message);
      else if (isAllHere && (await leftIn(connection, consumer)) === 0) break;
      if (this.#failure !== undefined) throw this.#failure;
    }
    const left = await leftIn(connection, consumer);
    await consumer.close();
    await connection.close();
    this.#archive?.close();
    tell({
      kind: "received",
      report: this.#ledger.report(),
      statistics: this.#statistics.toText(),
      left,
    });
  }

  /** Takes a message and settles it without waiting: many settlements are under way at a time. */
  #take(message: Message): void {
    const index = Number(message.properties["index"]);
    if (this.#ledger.noteDelivery(index, message.redelivered)) {
      this.#use(index, parseFlight(message.json()));
    }
    this.#acknowledging++;
    message.ack().then(
      () => {
        this.#noteAnswer();
        this.#acknowledging--;
        this.#ledger.noteSettled(index);
      },
      (error: unknown) => {
        this.#acknowledging--;
        if (!isInDoubt(error)) this.#failure ??= error;
      },
    );
  }

  #use(index: number, flight: Flight): void {
    this.#statistics.add(flight);
    this.#archive?.append(index, flight);
    const { received } = this.#ledger;
    const step = Math.max(1, Math.floor(this.#task.total / progressSteps));
    if (received % step === 0) tell({ kind: "progress", count: received });
  }
}

/** What of a settlement that died with the broker comes again, however long the broker is away. */
async function leftIn(connection: Connection, consumer: Consumer): Promise<number> {
  return (await connection.queueInfo(consumer.queue))?.messageCount ?? 0;
}

/** The broker died before it answered: the message comes again, or it was settled. */
function isInDoubt(error: unknown): boolean {
  return EverholdError.is(error) && (error.retryable || error.outcome === "unknown");
}
