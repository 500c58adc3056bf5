/** Where an epoch begins in a journal: the position of its first record, which says so. */
export interface EpochStart {
  readonly epoch: number;
  readonly position: number;
}

/** What a journal says of itself to be compared: its epochs, oldest first, and where it ends. */
export interface LogOutline {
  readonly epochs: readonly EpochStart[];
  readonly end: number;
}

/**
 * Up to where two journals must be the same: the end of the newest epoch that both have, in the shorter of them; 0 where
 * they share none. An epoch has one live, and whoever has a record of it got that from this live, so both have the same
 * there. Never the commit position: that is news which may come late, and what one has not heard of is committed too.
 */
export function agreedPosition(one: LogOutline, other: LogOutline): number {
  for (let index = one.epochs.length - 1; index >= 0; index -= 1) {
    const mine = one.epochs[index];
    const place = other.epochs.findIndex((theirs) => theirs.epoch === mine?.epoch);
    if (mine === undefined || other.epochs[place]?.position !== mine.position) continue;
    return Math.min(epochEnd(one, index), epochEnd(other, place));
  }
  return 0;
}

function epochEnd(log: LogOutline, index: number): number {
  return log.epochs[index + 1]?.position ?? log.end;
}
