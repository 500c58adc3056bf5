import { messageBytesMax } from "./kind-rules.ts";
import type { Copy } from "./model.ts";
import type { FullnessPlan } from "./program.ts";
import type { OpenTransaction } from "./rule-client.ts";

/** What an application waits with. */
interface Committer {
  /** What it commits, while it has no answer. */
  readonly committing: OpenTransaction | undefined;
}

/**
 * Who waits for ever, by his own doing: a commit waits until what was sent in it has left, that waits for room at
 * an address that blocks, and all that is there was acknowledged in commits that are under way, so that nothing
 * else can make room. Whoever waits for anything else is not excused.
 */
export function findDeadlocked<Client extends Committer>(
  clients: readonly Client[],
  copies: readonly Copy[],
  { maxSizeBytes, policy }: FullnessPlan,
): Client | undefined {
  if (policy !== "block" || maxSizeBytes < 0) return undefined;
  const present = copies.filter(({ queue, place }) => queue === "first" && place !== "unborn");
  const bytes = present.reduce((sum, { message }) => sum + messageBytesMax(message.bodyChars), 0);
  if (bytes < maxSizeBytes) return undefined;
  const committers = clients.filter(({ committing }) => committing !== undefined);
  const isTaken = (copy: Copy): boolean =>
    committers.some(({ committing }) => committing?.acks.some((ack) => ack.copy === copy));
  if (!present.every((copy) => copy.place === "hidden" && isTaken(copy))) return undefined;
  return committers.find(
    ({ committing }) =>
      committing?.acks.some(({ copy }) => present.includes(copy)) === true &&
      committing.sends.some(({ queue, born }) => queue === "first" && isUnderWay(born)),
  );
}

/** The send is the first of what must be done. */
function isUnderWay([sending]: Copy["born"]): boolean {
  return sending?.fate === "pending";
}
