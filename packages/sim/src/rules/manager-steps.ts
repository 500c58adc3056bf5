import { EverholdError } from "@everhold/base";
import type { Broker } from "@everhold/broker";
import type { Book } from "./book.ts";
import { expiryQueue } from "./model.ts";
import { Operation } from "./operation.ts";
import type { ManageStep } from "./program.ts";

type Values = Parameters<Broker["management"]["invoke"]>[2];

/** Performs the steps of somebody who manages the broker. */
export class ManagerSteps {
  readonly #book: Book;
  readonly #broker: () => Broker | undefined;
  readonly #note: (what: string, detail: string) => void;
  readonly #onBug: (error: unknown) => void;
  /** Of this round: what was answered may not have been committed. */
  #recent: Operation[] = [];

  constructor(options: {
    book: Book;
    broker: () => Broker | undefined;
    note: (what: string, detail: string) => void;
    onBug: (error: unknown) => void;
  }) {
    this.#book = options.book;
    this.#broker = options.broker;
    this.#note = options.note;
    this.#onBug = options.onBug;
  }

  /** What is under way. */
  get open(): readonly Operation[] {
    return this.#recent.filter(({ fate }) => fate === "pending");
  }

  /** The broker died. */
  doubt(): void {
    for (const operation of this.#recent) {
      operation.doubt();
      operation.end("unknown");
    }
  }

  /** A new round begins. */
  forget(): void {
    this.#recent = this.#recent.filter(({ fate }) => fate === "pending");
  }

  perform(step: ManageStep): void {
    const book = this.#book;
    const queue = book.queueNames[step.queue % book.queueNames.length] ?? "";
    switch (step.operation) {
      case "pause":
      case "resume":
        this.switch(queue, step.operation);
        return;
      default:
    }
    const resting = book.resting(queue);
    const copy = resting[step.pick % resting.length];
    if (copy === undefined) return;
    const sink = {
      expire: expiryQueue,
      bury: book.deadLetterQueue,
      retry: copy.origin,
      remove: "",
    };
    const target = sink[step.operation];
    const isSink = book.isSink(queue);
    if ((step.operation === "retry") !== isSink && step.operation !== "remove") return;
    const names = {
      expire: "expireMessage",
      bury: "sendMessageToDeadLetterAddress",
      retry: "retryMessage",
      remove: "removeMessage",
    };
    const operation = this.#call(queue, names[step.operation], [copy.messageId], copy.message.id);
    if (operation === undefined) return;
    if (step.operation === "remove") copy.deaths.push([operation]);
    else copy.sinks.push({ queue: target, operation });
  }

  /** Does what nobody asked for: a dead letter is somewhere else as well. */
  buryTwice(): void {
    const queue = this.#book.deadLetterQueue;
    const [copy] = this.#book.resting(queue);
    if (copy !== undefined) this.#call(queue, "copyMessage", [copy.messageId, expiryQueue], "");
  }

  /** Pauses or resumes a queue. */
  switch(queue: string, operation: "pause" | "resume"): void {
    if (this.#call(queue, operation, [], "") === undefined) return;
    this.#book.switched.add(queue);
    if (operation === "pause") this.#book.paused.add(queue);
    else this.#book.paused.delete(queue);
  }

  #call(queue: string, name: string, values: Values, what: string): Operation | undefined {
    const broker = this.#broker();
    if (broker === undefined) return undefined;
    const operation = new Operation(`${name} ${what} in ${queue}`);
    this.#note(name, `${what} in ${queue}`);
    const call = async (): Promise<void> => {
      const value = await broker.management.invoke(`queue.${queue}`, name, values).value;
      operation.end(value === false ? "none" : "applied");
    };
    call().catch((error: unknown) => {
      if (!EverholdError.is(error)) this.#onBug(error);
      operation.end("none");
    });
    this.#recent.push(operation);
    return operation;
  }
}
