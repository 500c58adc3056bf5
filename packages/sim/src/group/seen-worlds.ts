import { GrowingList } from "./growing-list.ts";

/** Every world that was seen: a number each, where it was come from, and where it leads to by itself. */
export class SeenWorlds {
  readonly #places = new Map<number, number>();
  readonly #parents = new GrowingList();
  readonly #words = new GrowingList();
  readonly #wordOf = new Map<string, number>();
  readonly #texts: string[] = [];
  readonly #from = new GrowingList();
  readonly #to = new GrowingList();
  readonly #resting: number[] = [];

  get count(): number {
    return this.#parents.length;
  }

  /** Notes a world that `what` leads to from the one at `parent`, and says its place; null where it was seen before. */
  add(fingerprint: number, parent: number, what: string): number | null {
    if (this.#places.has(fingerprint)) return null;
    const place = this.count;
    this.#places.set(fingerprint, place);
    this.#parents.push(parent);
    let word = this.#wordOf.get(what);
    if (word === undefined) {
      word = this.#texts.push(what) - 1;
      this.#wordOf.set(what, word);
    }
    this.#words.push(word);
    return place;
  }

  /** The world at `from` may become this one without anybody's doing. */
  leads(from: number, fingerprint: number): void {
    this.#from.push(from);
    this.#to.push(this.#places.get(fingerprint) ?? 0);
  }

  /** The world at `place` stays as it is. */
  rests(place: number): void {
    this.#resting.push(place);
  }

  /** What happened from the first world to the one at `place`. */
  wayTo(place: number): readonly string[] {
    const way: string[] = [];
    for (let at = place; at > 0; at = this.#parents.at(at)) {
      way.unshift(this.#texts[this.#words.at(at)] ?? "");
    }
    return way;
  }

  /** The first world from which none at rest can be reached by itself; null where there is none. */
  firstRestless(): number | null {
    const starts = new Int32Array(this.count + 2);
    for (let edge = 0; edge < this.#to.length; edge += 1) {
      const at = this.#to.at(edge) + 2;
      starts[at] = (starts[at] ?? 0) + 1;
    }
    for (let at = 2; at < starts.length; at += 1)
      starts[at] = (starts[at] ?? 0) + (starts[at - 1] ?? 0);
    const sources = new Int32Array(this.#to.length);
    for (let edge = 0; edge < this.#to.length; edge += 1) {
      const at = this.#to.at(edge) + 1;
      sources[starts[at] ?? 0] = this.#from.at(edge);
      starts[at] = (starts[at] ?? 0) + 1;
    }
    const comesToRest = new Uint8Array(this.count);
    const open = [...this.#resting];
    for (const place of open) comesToRest[place] = 1;
    for (let place = open.pop(); place !== undefined; place = open.pop()) {
      for (let at = starts[place] ?? 0; at < (starts[place + 1] ?? 0); at += 1) {
        const source = sources[at] ?? 0;
        if (comesToRest[source] === 1) continue;
        comesToRest[source] = 1;
        open.push(source);
      }
    }
    const restless = comesToRest.indexOf(0);
    return restless === -1 ? null : restless;
  }
}
