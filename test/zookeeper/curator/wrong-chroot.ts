import { Ensemble } from "../support/ensemble.ts";
import { TemporaryFolder } from "../support/folders.ts";
import { Contestant, kinds, type Kind } from "./contestant.ts";
import { sessionTimeoutMs } from "./scenarios.ts";

const answerMs = 20_000;

/** What both answer whose connect string ends with a path that does not exist. */
export async function tryWrongChroot(): Promise<Record<Kind, Record<string, string>>> {
  await using ensemble = await Ensemble.start({ version: "3.9.5", size: 1 });
  using folder = new TemporaryFolder();
  const answers: Record<Kind, Record<string, string>> = { curator: {}, everhold: {} };
  for (const kind of kinds) {
    const contestant = await Contestant.start({
      ...{ kind, role: "stranger", base: "", sessionTimeoutMs, mayReadOnly: false },
      connectString: `${ensemble.connectString}/not-there`,
      folder: folder.path,
    });
    try {
      await contestant.ready();
      for (const call of ["read", "write", "create"] as const) {
        answers[kind][call] = await contestant.answer(call, answerMs);
      }
    } finally {
      await contestant.kill();
    }
  }
  return answers;
}
