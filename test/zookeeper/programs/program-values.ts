import type { Prng } from "@everhold/base";
import { accessLists as known, type Acl } from "@everhold/zookeeper-core";

/** The node below which all programs work; it is there when they begin. */
export const root = "/t";

/** Near each other: one name begins as another one does, and some are what a number makes of a prefix. */
export const treePaths: readonly string[] = [
  ...["/t", "/t/a", "/t/a", "/t/a", "/t/ab", "/t/b", "/t/a/b", "/t/a/b", "/t/a/b/c", "/t/a/bc"],
  ...[
    "/t/a",
    "/t/a/b",
    "/t",
    "/t/e",
    "/t/e/a",
    "/t/a/0000000000",
    "/t/a/s0000000001",
    "/t/s0000000002",
    "/t/ä",
  ],
];

/** With which a tree begins, parents first. */
export const firstPaths: readonly string[] = [
  "/t/a",
  "/t/ab",
  "/t/b",
  "/t/a/b",
  "/t/a/b/c",
  "/t/e",
];

/** Where a number is put behind. */
export const sequentialPrefixes: readonly string[] = ["/t/s", "/t/a/s", "/t/a/", "/t/a/b/s", "/t/"];

/** What servers do not take for paths, or take for those of no node. */
export const badPaths: readonly string[] = ["t", "/t/", "/t//a", "/t/./a", "/t/../a", "/t/\u0001"];

/** Right and wrong ones. */
export const versions: readonly number[] = [-1, -1, -1, 0, 0, 1, 2, 7, -2];

/** To create with; those of no kind are refused. */
export function flagsOf(prng: Prng): number {
  if (prng.chance(0.02)) return 9;
  return prng.pick([0, 0, 0, 0, 0, 1, 1, 1, 2, 3, 4, 5, 6]);
}

/** None, empty, short, or longer than one packet of the network. */
export function dataOf(prng: Prng): Uint8Array | null {
  const length = prng.pick([-1, 0, 1, 3, 3, 3, 3, 10_000]);
  if (length < 0) return null;
  return new Uint8Array(length).fill(prng.integer(97, 122));
}

/** `digest` of one:1 and two:2. */
const one = "one:lj6jV0CklO+B740yxtWS4XOn7ag=";
const two = "two:KDB/2qrXaPm2X1rbcKyH8E/poXE=";

const lists: readonly (readonly Acl[])[] = [
  known.open,
  known.open,
  known.readOnly,
  known.creator,
  [{ permissions: 31, scheme: "digest", id: one }],
  [
    { permissions: 1 | 2, scheme: "digest", id: one },
    { permissions: 4 | 8 | 16, scheme: "digest", id: two },
  ],
  [
    { permissions: 31, scheme: "ip", id: "127.0.0.1" },
    { permissions: 1, scheme: "world", id: "anyone" },
  ],
  [{ permissions: 2 | 4 | 8 | 16, scheme: "world", id: "anyone" }],
  [{ permissions: 0, scheme: "world", id: "anyone" }],
  [...known.open, ...known.open],
  // Refused:
  [],
  [{ permissions: 31, scheme: "world", id: "somebody" }],
  [{ permissions: 31, scheme: "nobody", id: "x" }],
  [{ permissions: 31, scheme: "digest", id: "without a colon" }],
];

/** Who may do what. */
export const accessLists = { open: known.open, all: lists };

/** A scheme that no server knows. */
export const refusedScheme = "nobody";

/** Who a client says it is; nobody is refused for a wrong password, but for a scheme that there is not. */
export const logins: readonly { readonly scheme: string; readonly auth: string }[] = [
  { scheme: "digest", auth: "one:1" },
  { scheme: "digest", auth: "one:1" },
  { scheme: "digest", auth: "two:2" },
  { scheme: "digest", auth: "one:wrong" },
  { scheme: "ip", auth: "" },
  { scheme: refusedScheme, auth: "x" },
];
