import type { SimDisk } from "../disk/sim-disk.ts";

/** A change of the group's state that has its name. */
export interface Revision {
  readonly name: string;
  readonly created: string;
  readonly number: number;
  /** After the change. */
  readonly version: number;
  /** Which request made it. */
  readonly mark: number;
}

/** What is looked at in a file. */
interface Document {
  readonly version: number;
  readonly state: { readonly epochStart: number } | null;
  readonly live: { readonly claim: string } | null;
}

/** Revisions that stay, so that none counts as new where its number has become free. */
const keptCount = 8;

/** What was written to a group's folder, seen from outside. */
export class WrittenRevisions {
  readonly #disk: SimDisk;
  readonly #texts = new Map<string, string>();
  #all: Revision[] = [];
  #newest = { created: "", number: 0 };
  lostCount = 0;
  liveClaim: string | undefined;

  constructor(disk: SimDisk) {
    this.#disk = disk;
  }

  /** The changes of states, without those that a loss of power took. */
  get all(): readonly Revision[] {
    return this.#all;
  }

  /** Looks for new files. */
  look(): void {
    const names = this.#disk.names().filter((name) => name.startsWith("made-"));
    const numberOf = (name: string): number => Number(name.split(".")[1]);
    for (const name of names.toSorted((one, other) => numberOf(one) - numberOf(other))) {
      const text = Buffer.from(this.#disk.content(name)).toString();
      if (this.#texts.get(name) === text) continue;
      const before = this.#newest;
      const [created = ""] = name.split(".");
      const number = numberOf(name);
      // A number that has become free, being old: nobody reads that file.
      if (created === before.created && number <= before.number - keptCount) continue;
      this.#texts.set(name, text);
      this.#newest = { created, number };
      const document: Document = JSON.parse(text.split("\n")[0] ?? "");
      const { version, state, live } = document;
      this.liveClaim = live?.claim;
      const made = this.#all.filter((one) => one.created === created);
      const last = made.toSorted((one, other) => other.version - one.version)[0];
      if (state === null || version === 0 || last?.version === version) continue;
      this.#all.push({ name, created, number, version, mark: state.epochStart });
    }
  }

  /** Removes the folder's files. What was written before it stays written. */
  remove(): void {
    this.look();
    for (const name of this.#disk.names()) this.#disk.drop(name);
    this.#newest = { created: "", number: 0 };
  }

  /** Forgets what is gone, if it was the newest. */
  lookAfterPowerLoss(): void {
    const names = this.#disk.names();
    const { created, number } = this.#newest;
    const name = `${created}.${number}`;
    if (number > 0 && names.includes("group") && !names.includes(name)) {
      this.lostCount += 1;
      this.#texts.delete(name);
      this.#all = this.#all.filter((one) => one.name !== name);
      this.#newest = { created, number: number - 1 };
    }
    this.look();
  }
}
