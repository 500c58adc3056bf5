import type { VerifyReport } from "@everhold/journal";

import { verifyData } from "./verify-data.ts";

/** One data folder, beside the others. */
export interface ComparedData extends Pick<
  VerifyReport,
  | "groupId"
  | "endPosition"
  | "endChain"
  | "epochs"
  | "recordCount"
  | "highestId"
  | "segmentCount"
  | "fillPartCount"
  | "problems"
> {
  readonly folder: string;
  /** The chain value at the end of the shortest; undefined where no batch ends there. */
  readonly commonChain: string | undefined;
}

/** What {@link compareData} found. */
export interface DataComparison {
  /** `equal`: all are the same. `beginnings`: the shorter ones are beginnings of the longer ones. `different`: neither. */
  readonly verdict: "equal" | "beginnings" | "different";
  /** Where the shortest ends. */
  readonly commonPosition: number;
  readonly folders: readonly ComparedData[];
}

/**
 * Compares the journals of members of a group, all of them stopped, byte for byte by their chain values: a chain value
 * stands for every byte of the log before it. Every byte is checked, too.
 *
 * @throws EverholdError EVH_DATA_LOCKED, EVH_DATA_FOLDER
 */
export async function compareData(folders: readonly string[]): Promise<DataComparison> {
  const reports: { readonly folder: string; readonly report: VerifyReport }[] = [];
  for (const folder of folders) reports.push({ folder, report: await verifyData(folder) });
  const commonPosition = Math.min(...reports.map(({ report }) => report.endPosition));
  const compared: ComparedData[] = [];
  for (const { folder, report } of reports) {
    const isLonger = report.endPosition > commonPosition;
    const asked = isLonger ? await verifyData(folder, undefined, commonPosition) : undefined;
    const { groupId, endPosition, endChain, epochs, recordCount, highestId } = report;
    const { segmentCount, fillPartCount, problems } = report;
    compared.push({
      ...{ folder, groupId, endPosition, endChain, epochs, recordCount, highestId },
      ...{ segmentCount, fillPartCount, problems },
      commonChain: asked === undefined ? endChain : asked.askedChain,
    });
  }
  const [first] = compared;
  const isSame = compared.every(
    ({ commonChain, groupId, problems }) =>
      commonChain === first?.commonChain && groupId === first?.groupId && problems.length === 0,
  );
  const isEqual = compared.every(({ endPosition }) => endPosition === commonPosition);
  const verdict = isSame ? (isEqual ? "equal" : "beginnings") : "different";
  return { verdict, commonPosition, folders: compared };
}
