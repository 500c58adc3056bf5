/** What the monitor of a member says of it; the fields that people and scripts look at. */
export interface ReportedStatus {
  readonly group: string;
  readonly id: string;
  readonly role: string;
  readonly reason?: string;
  readonly isServing: boolean;
  readonly epoch: number;
  readonly inSync: readonly string[];
  readonly endPosition: number;
  readonly commitPosition: number;
  readonly peers: readonly { readonly id: string; readonly lagBytes: number }[];
  readonly node?: { readonly created: string; readonly version: number };
  readonly fill?: { readonly doneBytes: number; readonly totalBytes: number };
}

/** What came of asking one monitor. */
export interface MemberReport {
  readonly url: string;
  readonly status?: ReportedStatus;
  /** Why there is no status. */
  readonly problem?: string;
}

/** A monitor that answers later is as good as none, in ms. */
const answerMsMax = 3_000;

/** Asks a member what it is. Never rejects. */
export async function askMonitor(url: string): Promise<MemberReport> {
  try {
    const response = await fetch(new URL("/ha/status", url), {
      signal: AbortSignal.timeout(answerMsMax),
    });
    const body: unknown = await response.json();
    if (isStatus(body)) return { url, status: body };
    const told = typeof body === "object" && body !== null && "error" in body;
    return { url, problem: told ? String(body.error) : "it is no monitor of Everhold" };
  } catch (error) {
    return { url, problem: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `it did not answer within ${answerMsMax} ms`;
  const { cause } = error;
  return cause instanceof Error ? `it does not answer: ${cause.message}` : error.message;
}

function isStatus(value: unknown): value is ReportedStatus {
  return (
    typeof value === "object" &&
    value !== null &&
    "id" in value &&
    "role" in value &&
    "inSync" in value &&
    Array.isArray(value.inSync) &&
    "peers" in value &&
    Array.isArray(value.peers)
  );
}
