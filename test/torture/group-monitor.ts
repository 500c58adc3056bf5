import type { GroupProcesses, MemberProcess } from "#group/group-processes.js";

/** Members have it, and who commands. */
export const monitorToken = "a token of this run";

/** How long a member may take to answer. */
const answerMs = 5_000;

/** What of a member's status is looked at. */
interface Status {
  readonly role: string;
  readonly isServing: boolean;
  readonly inSync: readonly unknown[];
  readonly peers: readonly unknown[];
}

/** Whether one member serves, and all others follow it and are in sync, as each of them says itself. */
export async function isWhole({ members }: GroupProcesses): Promise<boolean> {
  const told = await Promise.all(members.map(statusOf));
  const lives = told.filter((status) => status?.role === "live");
  const backups = told.filter((status) => status?.role === "backup");
  const [live] = lives;
  return (
    live?.isServing === true &&
    backups.length === members.length - 1 &&
    live.peers.length === members.length - 1 &&
    live.inSync.length === members.length
  );
}

/** Has a live give way to this backup. @returns what it answers where it refuses */
export async function handOver(
  live: MemberProcess,
  to: MemberProcess,
): Promise<string | undefined> {
  const response = await fetch(new URL(`/ha/hand-over?to=${to.id}`, live.monitorUrl), {
    method: "POST",
    headers: { authorization: `Bearer ${monitorToken}` },
    signal: AbortSignal.timeout(answerMs),
  });
  return response.status === 202 ? undefined : response.text();
}

/** Undefined of one that does not answer. */
async function statusOf({ monitorUrl }: MemberProcess): Promise<Status | undefined> {
  try {
    const signal = AbortSignal.timeout(answerMs);
    const response = await fetch(new URL("/ha/status", monitorUrl), { signal });
    const status: unknown = await response.json();
    return isStatus(status) ? status : undefined;
  } catch {
    // It starts, or stands still.
    return undefined;
  }
}

function isStatus(value: unknown): value is Status {
  return typeof value === "object" && value !== null && "role" in value && "peers" in value;
}
