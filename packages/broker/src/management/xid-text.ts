import type { Xid } from "../state/xid.ts";

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/**
 * The id of a branch as tools of Artemis name it: branch qualifier, global id and format in base64 for URLs.
 * Source: Artemis, `XidImpl.toBase64String`, with its four bytes of the format.
 */
export function xidText({ formatId, branchQualifier, globalTransactionId }: Xid): string {
  const format = [0, 8, 16, 24].map((shift) => ((formatId >> shift) % 0xff) & 0xff);
  const bytes = [...branchQualifier, ...globalTransactionId, ...format];
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const count = Math.min(3, bytes.length - at);
    const word = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    for (let place = 0; place < 4; place += 1) {
      text += place <= count ? digits.charAt((word >>> (18 - 6 * place)) & 63) : "=";
    }
  }
  return text;
}

/** A part of an id as text where it is one, else in hexadecimal digits. */
export function xidPartText(part: Uint8Array): string {
  const isText = part.every((byte) => byte >= 32 && byte < 127);
  if (isText) return String.fromCharCode(...part);
  return Array.from(part, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
