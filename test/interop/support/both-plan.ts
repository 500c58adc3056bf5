import { Prng } from "@everhold/base";
import type { TypedValue } from "@everhold/wire";

import { BothLine } from "./both-line.ts";

/** Values at the edges of their types. */
const edgeValues: readonly TypedValue[] = [
  { type: "boolean", value: false },
  ...[0, 1, -1, 127, -128].map((value) => ({ type: "byte", value }) as const),
  ...[0, -1, 32_767, -32_768].map((value) => ({ type: "short", value }) as const),
  ...[0, -1, 2 ** 31 - 1, -(2 ** 31)].map((value) => ({ type: "int", value }) as const),
  ...[0, -1, 2 ** 53 - 1, 1 - 2 ** 53, 2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)].map(
    (value) => ({ type: "long", value }) as const,
  ),
  ...[
    0,
    -0,
    1,
    Math.fround(0.1),
    2 ** -149,
    3.402_823_466_385_288_6e38,
    NaN,
    Infinity,
    -Infinity,
  ].map((value) => ({ type: "float", value }) as const),
  ...[0, -0, 1, 0.1, Number.MIN_VALUE, Number.MAX_VALUE, NaN, Infinity, -Infinity].map(
    (value) => ({ type: "double", value }) as const,
  ),
];

const lone = "\ud83d";
const strings: readonly string[] = [
  "",
  "a",
  "12345678",
  "123456789",
  "ünïcödé Ω 漢字",
  "\u{1f600} and \u{10ffff}",
  `high ${lone} alone`,
  "low \ude00 alone, and \ude00\ud83d in the wrong order",
  "NUL \0 in the middle\0",
  "\0",
  "\u007f\u0080\u07ff\u0800\uffff",
  "line\r\nbreak\ttab",
  "x".repeat(4094),
  "y".repeat(4095),
  `${"é".repeat(4093)}${lone}`,
  `${"漢".repeat(2000)}\u{1f600}\0`,
];
const longString = "long \u{1f600} ".repeat(5000);

/** Types that only the core API has. */
const coreValues: readonly TypedValue[] = [
  ...["a", "\0", "\uffff", lone].map((value) => ({ type: "char", value }) as const),
  ...[[], [0], [0, 255, 128, 127]].map(
    (value) => ({ type: "bytes", value: new Uint8Array(value) }) as const,
  ),
  { type: "null", value: null },
];

const textValues = strings.map((value) => ({ type: "string", value }) as const);
const everyValue: readonly [TypedValue, ...TypedValue[]] = [
  { type: "boolean", value: true },
  ...edgeValues,
  ...textValues,
  ...coreValues,
];

/** How a Java producer hands its body over: at once, from a stream, or compressed by the client. */
type How = "plain" | "streamed" | "compressed";

/** Messages at every edge, then `randomCount` that follow from `seed`. */
export function bothPlan(seed: number, randomCount: number): BothLine[] {
  const prng = new Prng(seed);
  const lines = [...edgePlan(prng)];
  for (let index = 0; index < randomCount; index += 1) lines.push(randomLine(prng));
  lines.forEach((line, index) => line.say("n", index).say("property.n", index));
  return lines;
}

function* edgePlan(prng: Prng): Generator<BothLine> {
  yield newLine("none");
  yield newLine("text").say("value", null);
  yield newLine("object").say("value", null);
  yield newLine("map");
  yield newLine("stream");
  for (const text of [...strings, longString]) yield newLine("text").say("value", text);
  for (const size of [0, 1, 255, 4096])
    yield newLine("bytes").say("value", randomBytes(prng, size));
  for (const size of [0, 1000]) yield newLine("object").say("value", randomBytes(prng, size));
  const map = newLine("map");
  const stream = newLine("stream");
  const properties = newLine("none");
  everyValue.forEach((value, index) => {
    map.put(`map.m${index}`, value);
    stream.put(`stream.${String(index).padStart(4, "0")}`, value);
    properties.put(`property.p${index}`, value);
  });
  yield* [map, stream, properties];
  for (const name of ["ünïcödé", "with space", "a=b", "a.b-c", "\u{1f600}", "$", "_x"]) {
    yield newLine("map").say(`map.${name}`, name).say(`property.${name}`, name);
  }
  yield newLine("text").say("value", "x").say("property.long", longString);
  yield* edgeHeaders();
  yield* largePlan(prng);
}

function* edgeHeaders(): Generator<BothLine> {
  for (let priority = 0; priority <= 9; priority += 1)
    yield newLine("none").say("priority", priority);
  yield newLine("none").say("durable", false);
  yield newLine("text").say("value", "x").put("ttl", { type: "long", value: 3_600_000 });
  for (const text of strings) {
    // JMS takes an empty string for none.
    if (text === "") continue;
    yield newLine("none").say("correlation", text).say("type", text).say("group", text);
  }
  yield newLine("none").say("correlation", new Uint8Array([0, 1, 0xfe, 0xff]));
  yield newLine("none").say("replyTo", "answers.to.me").say("type", "kind");
  yield newLine("none").say("duplicate", "only one of these");
  yield newLine("none").say("duplicate", new Uint8Array([1, 0, 255]));
}

/** Beyond 100 KiB, from where clients treat messages as large. */
function* largePlan(prng: Prng): Generator<BothLine> {
  for (const how of ["plain", "streamed", "compressed"] as const) {
    yield newLine("bytes", how).say("value", randomBytes(prng, 150_000));
    yield newLine("bytes", how).say("value", new Uint8Array(300_000).fill(7));
    yield newLine("bytes", how).say("value", randomBytes(prng, 102_400));
  }
  // What does not shrink travels in parts, compressed or not.
  yield newLine("bytes", "compressed").say("value", randomBytes(prng, 2_000_000));
  for (const how of ["plain", "compressed"] as const) {
    yield newLine("text", how).say("value", "large \u{1f600}\0 ".repeat(12_000));
    yield newLine("object", how).say("value", randomBytes(prng, 110_000));
    const map = newLine("map", how);
    const stream = newLine("stream", how);
    for (let index = 0; index < 30; index += 1) {
      map.say(`map.m${index}`, randomText(prng, 3000));
      stream.say(`stream.${String(index).padStart(4, "0")}`, randomText(prng, 3000));
    }
    yield* [map, stream];
  }
}

function randomLine(prng: Prng): BothLine {
  const kind = prng.pick(["none", "text", "bytes", "map", "stream", "object"]);
  const line = newLine(kind).say("priority", prng.integer(0, 9)).say("durable", prng.chance(0.7));
  if (kind === "text") line.say("value", randomText(prng, prng.integer(0, 6000)));
  if (kind === "bytes" || kind === "object") {
    line.say("value", randomBytes(prng, prng.integer(0, 3000)));
  }
  const count = prng.integer(0, 12);
  for (let index = 0; index < count; index += 1) {
    if (kind === "map") line.put(`map.m${index}`, randomValue(prng));
    if (kind === "stream") line.put(`stream.${String(index).padStart(4, "0")}`, randomValue(prng));
  }
  const propertyCount = prng.integer(0, 8);
  for (let index = 0; index < propertyCount; index += 1) {
    line.put(`property.p${index}`, randomValue(prng));
  }
  if (prng.chance(0.5)) {
    const isText = prng.chance(0.5);
    const length = prng.integer(1, 40);
    line.say("correlation", isText ? randomText(prng, length) : randomBytes(prng, length));
  }
  if (prng.chance(0.3)) line.say("type", randomText(prng, 1 + prng.integer(0, 20)));
  if (prng.chance(0.2)) line.say("group", randomText(prng, 1 + prng.integer(0, 20)));
  if (prng.chance(0.2)) line.say("replyTo", `answers.${prng.integer(0, 99)}`);
  if (prng.chance(0.2)) line.put("ttl", { type: "long", value: prng.integer(600_000, 9_000_000) });
  return line;
}

/** A line with every header at its default. */
function newLine(kind: string, how: How = "plain"): BothLine {
  return new BothLine()
    .say("kind", kind)
    .say("how", how)
    .say("priority", 4)
    .say("durable", true)
    .put("ttl", { type: "long", value: 0 });
}

function randomValue(prng: Prng): TypedValue {
  switch (prng.integer(0, 4)) {
    case 0:
      return { type: "string", value: randomText(prng, prng.integer(0, 30)) };
    case 1:
      return { type: "int", value: prng.uint32() | 0 };
    case 2:
      return { type: "double", value: (prng.fraction() - 0.5) * 10 ** prng.integer(-300, 300) };
    case 3: {
      const high = BigInt(prng.uint32()) << 32n;
      const value = BigInt.asIntN(64, high | BigInt(prng.uint32()));
      return { type: "long", value: Number.isSafeInteger(Number(value)) ? Number(value) : value };
    }
    default:
      return prng.pick(everyValue);
  }
}

/** Any UTF-16 units, surrogates in any order among them. */
function randomText(prng: Prng, length: number): string {
  const isAscii = prng.chance(0.5);
  let text = "";
  for (let index = 0; index < length; index += 1) {
    text += String.fromCharCode(isAscii ? prng.integer(32, 126) : prng.integer(0, 0xffff));
  }
  return text;
}

function randomBytes(prng: Prng, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  prng.fill(bytes);
  return bytes;
}
