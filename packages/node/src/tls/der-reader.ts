/** One element of a DER encoding (ITU-T X.690). */
export interface DerElement {
  readonly tag: number;
  /** Its content, without tag and length. */
  readonly content: Uint8Array;
  /** Tag, length and content. */
  readonly bytes: Uint8Array;
}

/** The tags that are met in certificates and stores of them. */
export const derTags = {
  integer: 0x02,
  octets: 0x04,
  oid: 0x06,
  sequence: 0x30,
  set: 0x31,
  /** `[0]`, explicit or implicit and constructed. */
  context0: 0xa0,
  /** `[0]`, implicit and primitive. */
  context0Primitive: 0x80,
} as const;

/** Reads the element at the start of `bytes`. @throws RangeError when it is not DER */
export function readDer(bytes: Uint8Array): DerElement {
  const tag = bytes[0];
  let length = bytes[1];
  if (tag === undefined || length === undefined || (tag & 0x1f) === 0x1f) throw notDer();
  let start = 2;
  if (length >= 0x80) {
    const lengthBytes = length & 0x7f;
    if (lengthBytes === 0 || lengthBytes > 4) throw notDer();
    length = 0;
    for (let index = 0; index < lengthBytes; index += 1) {
      length = length * 256 + (bytes[start + index] ?? 0);
    }
    start += lengthBytes;
  }
  const end = start + length;
  if (end > bytes.length) throw notDer();
  return { tag, content: bytes.subarray(start, end), bytes: bytes.subarray(0, end) };
}

/** The elements that `content` consists of. @throws RangeError when they are not DER */
export function readDerList(content: Uint8Array): readonly DerElement[] {
  const elements: DerElement[] = [];
  for (let rest = content; rest.length > 0;) {
    const element = readDer(rest);
    elements.push(element);
    rest = rest.subarray(element.bytes.length);
  }
  return elements;
}

/** The elements of a sequence or set. @throws RangeError when it is missing or has another tag */
export function childrenOf(
  element: DerElement | undefined,
  tag: number = derTags.sequence,
): readonly DerElement[] {
  return readDerList(contentOf(element, tag));
}

/** The content of an element. @throws RangeError when it is missing or has another tag */
export function contentOf(element: DerElement | undefined, tag: number): Uint8Array {
  if (element === undefined || element.tag !== tag) throw notDer();
  return element.content;
}

/** An object identifier as `1.2.840.113549.1.7.1`. @throws RangeError when it is none */
export function oidOf(element: DerElement | undefined): string {
  const [first = 0, ...rest] = contentOf(element, derTags.oid);
  const arcs = [Math.min(2, Math.floor(first / 40))];
  arcs.push(first - 40 * (arcs[0] ?? 0));
  let arc = 0;
  for (const byte of rest) {
    arc = arc * 128 + (byte & 0x7f);
    if (byte >= 0x80) continue;
    arcs.push(arc);
    arc = 0;
  }
  return arcs.join(".");
}

/** A small number that is not negative. @throws RangeError when it is none */
export function integerOf(element: DerElement | undefined): number {
  const content = contentOf(element, derTags.integer);
  if (content.length === 0 || content.length > 5 || (content[0] ?? 0) >= 0x80) throw notDer();
  return content.reduce((value, byte) => value * 256 + byte, 0);
}

function notDer(): RangeError {
  return new RangeError("it is damaged, or not what its name says");
}
