/** What a file of the folder is, by its name. */
export type FileRole =
  | { readonly role: "segment"; readonly position: number }
  | { readonly role: "snapshot"; readonly position: number }
  | { readonly role: "spare"; readonly ordinal: number }
  | { readonly role: "temporary" }
  | { readonly role: "misnamed" }
  | { readonly role: "other" };

/** `<base position, 16 hex digits>.journal` */
export function segmentName(base: number): string {
  return `${hex(base)}.journal`;
}

/** `snapshot-<replay start, 16 hex digits>.index` */
export function snapshotName(replayStart: number): string {
  return `snapshot-${hex(replayStart)}.index`;
}

/** A snapshot that is being written. Left-overs are removed when the folder is opened. */
export const temporarySnapshotName = "snapshot.temporary";

/** What a member of a group keeps beside its log. */
export const fenceName = "member.fence";

/** The next {@link fenceName} while it is being written. Left-overs are removed before it is written again. */
export const temporaryFenceName = "member.fence.temporary";

const fillSuffix = ".fill";

/** A file of another member's journal, before the folder is made of these. */
export function fillPartName(name: string): string {
  return name + fillSuffix;
}

/** The name that a part of a fill gets; undefined for what is none. */
export function finalName(name: string): string | undefined {
  return name.endsWith(fillSuffix) ? name.slice(0, -fillSuffix.length) : undefined;
}

/** What {@link fillRemovesName} is made of. */
export const fillingName = "filling";

/** All parts of a fill are there: what the folder held before goes. */
export const fillRemovesName = "filling.removes";

/** What the folder held before is gone: the parts get their names. */
export const fillInstallsName = "filling.installs";

/** A file that waits to become a segment. Its content means nothing. */
export function spareName(ordinal: number): string {
  return `spare-${ordinal}.segment`;
}

/** Says what a file is. Names like ours that we would not write are `misnamed`; foreign ones `other`. */
export function fileRole(name: string): FileRole {
  const segment = /^([0-9a-f]{16})\.journal$/.exec(name)?.[1];
  if (segment !== undefined) return positioned("segment", segment);
  const snapshot = /^snapshot-([0-9a-f]{16})\.index$/.exec(name)?.[1];
  if (snapshot !== undefined) return positioned("snapshot", snapshot);
  const spare = /^spare-([0-9]{1,9})\.segment$/.exec(name)?.[1];
  if (spare !== undefined) return { role: "spare", ordinal: Number(spare) };
  if (name === temporarySnapshotName) return { role: "temporary" };
  if (name.endsWith(".journal") || name.endsWith(".index")) return { role: "misnamed" };
  return { role: "other" };
}

function positioned(role: "segment" | "snapshot", digits: string): FileRole {
  const position = Number.parseInt(digits, 16);
  return Number.isSafeInteger(position) ? { role, position } : { role: "misnamed" };
}

function hex(position: number): string {
  return position.toString(16).padStart(16, "0");
}
