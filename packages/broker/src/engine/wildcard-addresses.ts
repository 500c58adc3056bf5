import { isWild } from "../settings/address-match.ts";

/** Something that is known by the name of an address. */
interface Named {
  readonly name: string;
}

/** Where words lead to in the tree of wildcard addresses. */
class Node<T> {
  readonly words = new Map<string, Node<T>>();
  /** Behind a `*`. */
  one: Node<T> | undefined;
  /** Behind a `#`. */
  any: Node<T> | undefined;
  isBehindAny = false;
  address: T | undefined;

  get isEmpty(): boolean {
    const hasChild = this.words.size > 0 || this.one !== undefined || this.any !== undefined;
    return !hasChild && this.address === undefined;
  }
}

/**
 * The addresses whose names stand for others, such as `news.#`: what is sent to `news.eu` goes to their queues as
 * well. `*` is one word, `#` any number of words, also none, and not at the end only. A name that is itself wild
 * stands for no other: what is sent to `news.#` goes to the queues of that address.
 * Source: Artemis, its documentation "wildcard-routing", `WildcardAddressManager` and `AddressMap`.
 *
 * They are a tree of words, so that finding those of one name takes time by its words, and not by the number
 * of addresses; who finds them keeps them until {@link version} changes.
 */
export class WildcardAddresses<T extends Named> {
  readonly #root = new Node<T>();
  #version = 0;
  #count = 0;

  /** Another one whenever an address came or went. */
  get version(): number {
    return this.#version;
  }

  get count(): number {
    return this.#count;
  }

  /** Notes an address; one that is not wild is none of ours. */
  add(address: T): void {
    if (!isWild(address.name)) return;
    let node = this.#root;
    for (const word of address.name.split(".")) node = childOf(node, word);
    if (node.address === undefined) this.#count += 1;
    node.address = address;
    this.#version += 1;
  }

  /** Forgets an address, if it was noted. */
  remove(address: T): void {
    if (!isWild(address.name)) return;
    const words = address.name.split(".");
    const path: Node<T>[] = [this.#root];
    for (const word of words) {
      const next = findChild(path.at(-1), word);
      if (next === undefined) return;
      path.push(next);
    }
    const last = path.at(-1);
    if (last?.address !== address) return;
    last.address = undefined;
    this.#count -= 1;
    this.#version += 1;
    for (let depth = words.length; depth > 0 && path[depth]?.isEmpty === true; depth -= 1) {
      removeChild(path[depth - 1], words[depth - 1] ?? "");
    }
  }

  /** The wildcard addresses that a name is one of, in the order of their names. */
  matching(name: string): readonly T[] {
    if (this.#count === 0 || isWild(name)) return none;
    // All places in the tree where the words so far may have led: each once, so that no name takes long.
    let places = new Set<Node<T>>();
    enter(places, this.#root);
    for (const word of name.split(".")) {
      const next = new Set<Node<T>>();
      for (const node of places) {
        if (node.isBehindAny) enter(next, node);
        enter(next, node.words.get(word));
        if (word !== "") enter(next, node.one);
      }
      places = next;
    }
    const found: T[] = [];
    for (const { address } of places) if (address !== undefined) found.push(address);
    return found.sort((one, other) => (one.name < other.name ? -1 : 1));
  }
}

const none: readonly never[] = [];

/** A `#` may be no word at all, so whoever is in front of it is behind it, too. */
function enter<T>(places: Set<Node<T>>, node: Node<T> | undefined): void {
  for (let next = node; next !== undefined; next = next.any) places.add(next);
}

function childOf<T>(node: Node<T>, word: string): Node<T> {
  const found = findChild(node, word);
  if (found !== undefined) return found;
  const child = new Node<T>();
  if (word === "#") {
    child.isBehindAny = true;
    node.any = child;
  } else if (word === "*") node.one = child;
  else node.words.set(word, child);
  return child;
}

function findChild<T>(node: Node<T> | undefined, word: string): Node<T> | undefined {
  if (word === "#") return node?.any;
  return word === "*" ? node?.one : node?.words.get(word);
}

function removeChild<T>(node: Node<T> | undefined, word: string): void {
  if (node === undefined) return;
  if (word === "#") node.any = undefined;
  else if (word === "*") node.one = undefined;
  else node.words.delete(word);
}
