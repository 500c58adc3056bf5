/** What may go wrong on a {@link SimDisk} while a process runs. All probabilities are 0 … 1. */
export interface DiskFaults {
  /** Each operation takes at least and at most this long, in simulated milliseconds. */
  delayMsMin: number;
  delayMsMax: number;
  /** A write stores only a part of its bytes and says so, without an error. */
  shortWriteProbability: number;
  /** A write fails with an I/O error; any of its sectors may have been stored. */
  writeErrorProbability: number;
  /** A read fails with an I/O error. */
  readErrorProbability: number;
  /** A sync fails, and what it should have stored never is. */
  syncErrorProbability: number;
}

/** A disk that is slow now and then but keeps every promise. */
export const noDiskFaults: Readonly<DiskFaults> = {
  delayMsMin: 0.05,
  delayMsMax: 1,
  shortWriteProbability: 0,
  writeErrorProbability: 0,
  readErrorProbability: 0,
  syncErrorProbability: 0,
};

/** How often each kind of fault happened. */
export interface DiskFaultCounts {
  crashes: number;
  powerLosses: number;
  lostWrites: number;
  appliedWrites: number;
  tornWrites: number;
  cachedWrites: number;
  lostCacheSectors: number;
  shortWrites: number;
  writeErrors: number;
  readErrors: number;
  syncErrors: number;
  fullErrors: number;
  bitFlips: number;
}

/** All zero. */
export function newDiskFaultCounts(): DiskFaultCounts {
  return {
    crashes: 0,
    powerLosses: 0,
    lostWrites: 0,
    appliedWrites: 0,
    tornWrites: 0,
    cachedWrites: 0,
    lostCacheSectors: 0,
    shortWrites: 0,
    writeErrors: 0,
    readErrors: 0,
    syncErrors: 0,
    fullErrors: 0,
    bitFlips: 0,
  };
}
