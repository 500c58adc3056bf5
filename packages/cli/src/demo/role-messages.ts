import type { LedgerReport } from "./effect-ledger.ts";

/** What the parts of the demo are told when they start, as JSON in their only argument. */
export interface RoleTask {
  readonly url: string;
  readonly role: "producer" | "stats" | "archive";
  /** Flights to send, or to wait for. */
  readonly total: number;
  /** A folder for what the part keeps. */
  readonly folder: string;
}

/** What a part is told while it works: how much a producer may send, that a subscriber is to report what it has. */
export type RoleOrder =
  | { readonly kind: "allow"; readonly count: number }
  | { readonly kind: "finish" };

/** What a part of the demo tells the one that started it. */
export type RoleMessage =
  | { readonly kind: "ready" }
  | { readonly kind: "progress"; readonly count: number }
  /** The connection broke and stands again, and the first call on it was answered. */
  | { readonly kind: "answered" }
  | { readonly kind: "sent"; readonly count: number }
  | {
      readonly kind: "received";
      readonly report: LedgerReport;
      readonly statistics: string;
      /** Messages that are still in the subscription at the end. */
      readonly left: number;
    }
  | { readonly kind: "failed"; readonly message: string };

/** How many progress messages a part sends over its whole work. */
export const progressSteps = 200;

/** The task in a part's argument. @throws Error when it is none */
export function parseRoleTask(text: string | undefined): RoleTask {
  const value: unknown = JSON.parse(text ?? "null");
  if (
    isRecord(value) &&
    typeof value["url"] === "string" &&
    (value["role"] === "producer" || value["role"] === "stats" || value["role"] === "archive") &&
    typeof value["total"] === "number" &&
    typeof value["folder"] === "string"
  ) {
    return {
      url: value["url"],
      role: value["role"],
      total: value["total"],
      folder: value["folder"],
    };
  }
  throw new Error(`expected a task with url, role, total and folder, found ${text ?? "nothing"}`);
}

/** The order that came to a part. @throws Error when it is none */
export function parseRoleOrder(value: unknown): RoleOrder {
  if (isRecord(value)) {
    const { kind, count } = value;
    if (kind === "finish") return { kind };
    if (kind === "allow" && typeof count === "number") return { kind, count };
  }
  throw new Error(`expected an order to a part of the demo, found ${JSON.stringify(value)}`);
}

/** The message that came from a part. @throws Error when it is none */
export function parseRoleMessage(value: unknown): RoleMessage {
  if (isRecord(value)) {
    const { kind, count, message, statistics, left } = value;
    if (kind === "ready" || kind === "answered") return { kind };
    if (kind === "progress" && typeof count === "number") return { kind, count };
    if (kind === "sent" && typeof count === "number") return { kind, count };
    if (kind === "failed" && typeof message === "string") return { kind, message };
    if (kind === "received" && typeof statistics === "string" && typeof left === "number") {
      return { kind, statistics, left, report: parseReport(value["report"]) };
    }
  }
  throw new Error(`expected a message of the demo, found ${JSON.stringify(value)}`);
}

function parseReport(value: unknown): LedgerReport {
  const counts = ["received", "lost", "duplicated", "redelivered"].map((name) =>
    isRecord(value) ? value[name] : undefined,
  );
  const [received, lost, duplicated, redelivered] = counts;
  if (
    typeof received === "number" &&
    typeof lost === "number" &&
    typeof duplicated === "number" &&
    typeof redelivered === "number"
  ) {
    return { received, lost, duplicated, redelivered };
  }
  throw new Error(`expected a report with counts, found ${JSON.stringify(value)}`);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
