import type { Outcome, Told } from "./story.ts";

/** What became of one message. */
interface Fate {
  readonly sent: Outcome;
  readonly isDurable: boolean;
  readonly transaction: string | undefined;
  deliveryCount: number;
  leftCount: number;
  /** Whether a settlement of it certainly took effect, or may have. */
  settled: Outcome;
  settledIn: string | undefined;
}

/**
 * What of a story breaks the promises, in words; nothing where none is broken.
 *
 * Lost: sent, and neither settled nor left. Doubled: in the broker twice, or delivered after a settlement that took
 * effect. Not marked: delivered again without saying so. Phantom: seen though its send had no effect, or was never
 * made. Damaged: its body is not what was sent. Half: a transaction of which one part took effect and another did not.
 *
 * @param lines what the application was told
 * @param left what was found in the queues afterwards, when nobody held anything any more
 * @param marks whether a broker that was killed in its midst knows what it had delivered before
 */
export function broken(
  lines: readonly Told[],
  left: readonly Told[],
  { marks = true }: { readonly marks?: boolean } = {},
): string[] {
  const ends = new Map<string, Outcome>();
  for (const line of lines) if (line.kind === "end") ends.set(line.transaction, line.outcome);
  const fates = new Map<string, Fate>();
  const found: string[] = [];
  for (const line of lines) {
    if (line.kind !== "send") continue;
    const { text, isDurable, transaction } = line;
    if (fates.has(text)) found.push(`the story is wrong: ${text} was sent twice`);
    fates.set(text, {
      sent: effective(line.outcome, transaction, ends),
      isDurable,
      transaction,
      deliveryCount: 0,
      leftCount: 0,
      settled: "none",
      settledIn: undefined,
    });
  }
  for (const [index, line] of [...lines, ...left].entries()) {
    if (line.kind === "damage") found.push(`damaged: ${line.text}`);
    if (line.kind !== "delivery" && line.kind !== "settlement") continue;
    const fate = fates.get(line.text);
    if (fate === undefined) found.push(`phantom: ${line.text} was never sent`);
    else if (line.kind === "settlement") settle(fate, line.transaction, line.outcome, ends);
    else {
      fate.deliveryCount += 1;
      if (index >= lines.length) fate.leftCount += 1;
      // A second copy is a repeat that nobody marked.
      const isRepeat = fate.deliveryCount > 1;
      if (marks && isRepeat && !line.isRedelivered) found.push(`not marked: ${line.text}`);
      if (fate.settled === "applied") found.push(`doubled: ${line.text} came after its end`);
    }
  }
  for (const [text, fate] of fates) found.push(...judge(text, fate));
  return [...found, ...halves(fates, ends)];
}

function effective(
  own: Outcome,
  transaction: string | undefined,
  ends: ReadonlyMap<string, Outcome>,
): Outcome {
  if (transaction === undefined || own === "none") return own;
  return ends.get(transaction) ?? "none";
}

function settle(
  fate: Fate,
  transaction: string | undefined,
  own: Outcome,
  ends: ReadonlyMap<string, Outcome>,
): void {
  const outcome = effective(own, transaction, ends);
  if (outcome === "none" || fate.settled === "applied") return;
  fate.settled = outcome;
  fate.settledIn = transaction;
}

function judge(text: string, fate: Fate): string[] {
  const found: string[] = [];
  if (fate.leftCount > 1) found.push(`doubled: ${text} is there ${fate.leftCount} times`);
  if (fate.sent === "none" && fate.deliveryCount > 0) found.push(`phantom: ${text} was seen`);
  const mustBeThere = fate.sent === "applied" && fate.settled === "none";
  if (mustBeThere && fate.leftCount === 0 && fate.isDurable) found.push(`lost: ${text}`);
  return found;
}

/** Transactions in doubt of which something took effect, and something else did not. */
function halves(fates: ReadonlyMap<string, Fate>, ends: ReadonlyMap<string, Outcome>): string[] {
  const found: string[] = [];
  for (const [transaction, outcome] of ends) {
    if (outcome !== "unknown") continue;
    const effects = new Set<boolean>();
    for (const fate of fates.values()) {
      // What is not durable may be gone for another reason.
      if (!fate.isDurable) continue;
      if (fate.transaction === transaction) effects.add(fate.deliveryCount > 0);
      // What it took is gone if it was committed, and left if it was not.
      else if (fate.settledIn === transaction) effects.add(fate.leftCount === 0);
    }
    if (effects.size > 1) found.push(`half: transaction ${transaction}`);
  }
  return found;
}
