/**
 * The number that stands for a message group, 1 … 2^32 − 1: a hash of the group id's bytes, UTF-16LE, as
 * `SimpleString.hashCode` computes it in Artemis, so that both brokers put a group into the same bucket. Two
 * groups with one number are one group to a queue: they share their consumer.
 */
export function groupHash(view: DataView, start: number, end: number): number {
  let hash = 0;
  for (let at = start; at < end; at += 1) hash = (Math.imul(hash, 31) + view.getInt8(at)) | 0;
  // 0 stands for no group.
  return hash === 0 ? 1 : hash >>> 0;
}

/** As {@link groupHash} for an id as a text. */
export function groupHashOf(id: string): number {
  const view = new DataView(new ArrayBuffer(id.length * 2));
  for (let index = 0; index < id.length; index += 1) {
    view.setUint16(index * 2, id.charCodeAt(index), true);
  }
  return groupHash(view, 0, view.byteLength);
}
