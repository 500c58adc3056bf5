/** What became of an operation, as far as whoever asked for it was told. */
export type EventOutcome = "applied" | "none" | "unknown";

/**
 * What disturbs a run against a group only: its links are cut, its disks are in trouble, it is told to give way, its
 * members are restarted in turn.
 */
export const groupFaultKinds = ["part", "disk", "handover", "roll"] as const;

/** What disturbs a run. */
export const faultKinds = ["kill", "stop", "cut", "drop", "delay", ...groupFaultKinds] as const;

export type FaultKind = (typeof faultKinds)[number];

export type GroupFaultKind = (typeof groupFaultKinds)[number];

/**
 * One thing that happened, as the one that saw it wrote it down. Intents (`send`, `settle`, `commit`,
 * `rollback`) are written before anything leaves the process, so that a process that is killed has said what it
 * may have done. Times are microseconds of the machine's monotonic clock, which all processes share.
 */
export type HistoryEvent =
  /** The first line of a file. */
  | { readonly kind: "begin"; readonly process: number }
  | {
      readonly kind: "send";
      readonly producer: number;
      readonly number: number;
      readonly address: number;
      /** 0: none, here and below. */
      readonly transaction: number;
    }
  | {
      readonly kind: "sent";
      readonly producer: number;
      readonly number: number;
      readonly outcome: EventOutcome;
    }
  | {
      readonly kind: "delivery";
      /** Unique in its file. */
      readonly delivery: number;
      readonly queue: number;
      readonly consumer: number;
      readonly producer: number;
      readonly number: number;
      readonly isRedelivered: boolean;
      readonly transaction: number;
      readonly atMicroseconds: number;
    }
  | { readonly kind: "settle"; readonly delivery: number }
  | {
      readonly kind: "settled";
      readonly delivery: number;
      /** `none`: it was given back. */
      readonly outcome: EventOutcome;
      readonly atMicroseconds: number;
    }
  | { readonly kind: "commit"; readonly transaction: number }
  | { readonly kind: "rollback"; readonly transaction: number }
  | {
      readonly kind: "ended";
      readonly transaction: number;
      readonly outcome: EventOutcome;
      readonly atMicroseconds: number;
    }
  | { readonly kind: "down"; readonly connection: number; readonly atMicroseconds: number }
  | { readonly kind: "up"; readonly connection: number; readonly atMicroseconds: number }
  | { readonly kind: "fault"; readonly fault: FaultKind; readonly atMicroseconds: number }
  /** The last line of a process that ended in order: every promise that it was given has settled. */
  | { readonly kind: "end" };

const letters = {
  begin: "B",
  send: "S",
  sent: "s",
  delivery: "D",
  settle: "K",
  settled: "k",
  commit: "C",
  rollback: "R",
  ended: "c",
  down: "L",
  up: "l",
  fault: "F",
  end: "E",
} as const satisfies Record<HistoryEvent["kind"], string>;

const outcomes = ["none", "applied", "unknown"] as const;

/** The event as a line of a history file: a letter and whole numbers. */
export function formatHistoryLine(event: HistoryEvent): string {
  return `${[letters[event.kind], ...numbersOf(event)].join(" ")}\n`;
}

/** @throws Error when the line is none of a history file; the line's end is not part of it */
export function parseHistoryLine(line: string): HistoryEvent {
  const [letter, ...words] = line.split(" ");
  const numbers = words.map(Number);
  const event = numbers.every(Number.isSafeInteger)
    ? eventOf(letter ?? "", new Numbers(numbers))
    : undefined;
  // Written again it is the same line, or it was none: too few numbers, too many, or others than allowed.
  if (event !== undefined && formatHistoryLine(event) === `${line}\n`) return event;
  throw new Error(`expected a line of a history, found ${JSON.stringify(line)}`);
}

function numbersOf(event: HistoryEvent): readonly number[] {
  switch (event.kind) {
    case "begin":
      return [event.process];
    case "send":
      return [event.producer, event.number, event.address, event.transaction];
    case "sent":
      return [event.producer, event.number, outcomes.indexOf(event.outcome)];
    case "delivery":
      return [
        ...[event.delivery, event.queue, event.consumer, event.producer, event.number],
        ...[event.isRedelivered ? 1 : 0, event.transaction, event.atMicroseconds],
      ];
    case "settle":
      return [event.delivery];
    case "settled":
      return [event.delivery, outcomes.indexOf(event.outcome), event.atMicroseconds];
    case "commit":
    case "rollback":
      return [event.transaction];
    case "ended":
      return [event.transaction, outcomes.indexOf(event.outcome), event.atMicroseconds];
    case "down":
    case "up":
      return [event.connection, event.atMicroseconds];
    case "fault":
      return [faultKinds.indexOf(event.fault), event.atMicroseconds];
    case "end":
      return [];
  }
}

function eventOf(letter: string, numbers: Numbers): HistoryEvent | undefined {
  switch (letter) {
    case letters.begin:
      return { kind: "begin", process: numbers.next() };
    case letters.send:
      return {
        kind: "send",
        producer: numbers.next(),
        number: numbers.next(),
        address: numbers.next(),
        transaction: numbers.next(),
      };
    case letters.sent:
      return {
        kind: "sent",
        producer: numbers.next(),
        number: numbers.next(),
        outcome: numbers.outcome(),
      };
    case letters.delivery:
      return {
        kind: "delivery",
        delivery: numbers.next(),
        queue: numbers.next(),
        consumer: numbers.next(),
        producer: numbers.next(),
        number: numbers.next(),
        isRedelivered: numbers.next() === 1,
        transaction: numbers.next(),
        atMicroseconds: numbers.next(),
      };
    case letters.settle:
      return { kind: "settle", delivery: numbers.next() };
    case letters.settled:
      return {
        kind: "settled",
        delivery: numbers.next(),
        outcome: numbers.outcome(),
        atMicroseconds: numbers.next(),
      };
    case letters.commit:
      return { kind: "commit", transaction: numbers.next() };
    case letters.rollback:
      return { kind: "rollback", transaction: numbers.next() };
    case letters.ended:
      return {
        kind: "ended",
        transaction: numbers.next(),
        outcome: numbers.outcome(),
        atMicroseconds: numbers.next(),
      };
    case letters.down:
      return { kind: "down", connection: numbers.next(), atMicroseconds: numbers.next() };
    case letters.up:
      return { kind: "up", connection: numbers.next(), atMicroseconds: numbers.next() };
    case letters.fault:
      return {
        kind: "fault",
        fault: faultKinds[numbers.next()] ?? "kill",
        atMicroseconds: numbers.next(),
      };
    case letters.end:
      return { kind: "end" };
    default:
      return undefined;
  }
}

class Numbers {
  readonly #values: readonly number[];
  #index = 0;

  constructor(values: readonly number[]) {
    this.#values = values;
  }

  next(): number {
    this.#index += 1;
    return this.#values[this.#index - 1] ?? 0;
  }

  outcome(): EventOutcome {
    return outcomes[this.next()] ?? "none";
  }
}
