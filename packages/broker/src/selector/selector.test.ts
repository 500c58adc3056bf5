import assert from "node:assert/strict";
import { test } from "node:test";

import { EverholdError } from "@everhold/base";
import fc from "fast-check";

import { messageOf } from "../testing/test-client.test-support.ts";
import { evaluate } from "./evaluate.ts";
import { Approximate, opaque, type SelectorValue } from "./expression.ts";
import { parseSelector } from "./parser.ts";
import { parseFilter, Selector } from "./selector.ts";

const values: Readonly<Record<string, SelectorValue>> = {
  yes: true,
  no: false,
  five: 5,
  long: 5n,
  top: 0x7fff_ffff,
  bottom: -0x8000_0000,
  longTop: 2n ** 63n - 1n,
  longBottom: -(2n ** 63n),
  big: 2n ** 53n + 1n,
  half: new Approximate(0.5, false),
  tenth: new Approximate(Math.fround(0.1), true),
  float24: new Approximate(2 ** 24, true),
  nan: new Approximate(Number.NaN, false),
  blob: opaque,
  text: "red",
  digits: "2",
  percent: "50%",
  under: "_foo",
  "a-b": 1,
  'say "hi"': 2,
};

function result(selector: string): SelectorValue {
  return evaluate(parseSelector(selector), { valueOf: (name) => values[name] });
}

const truthTable: readonly (readonly [selector: string, expected: boolean | undefined])[] = [
  // Three-valued logic: `nul` is a property that does not exist.
  ["yes AND yes", true],
  ["yes AND no", false],
  ["no AND yes", false],
  ["no AND no", false],
  ["yes AND nul", undefined],
  ["nul AND yes", undefined],
  ["no AND nul", false],
  ["nul AND no", false],
  ["nul AND nul", undefined],
  ["yes OR yes", true],
  ["yes OR no", true],
  ["no OR yes", true],
  ["no OR no", false],
  ["yes OR nul", true],
  ["nul OR yes", true],
  ["no OR nul", undefined],
  ["nul OR no", undefined],
  ["nul OR nul", undefined],
  ["NOT yes", false],
  ["NOT no", true],
  ["NOT nul", undefined],
  // NOT binds looser than a comparison.
  ["NOT text = 'blue'", true],
  ["NOT NOT yes", true],
  // Comparisons, with NULL and with types that do not go together.
  ["five = 5", true],
  ["five <> 5", false],
  ["five > 4 AND five < 6", true],
  ["five >= 5 AND five <= 5", true],
  ["nul = 5", undefined],
  ["5 = nul", undefined],
  ["nul = nul", undefined],
  ["digits > 1", false],
  ["NOT digits > 1", true],
  ["digits <> 1", false],
  ["text = 'red'", true],
  ["text <> 'blue'", true],
  ["yes = TRUE", true],
  ["yes <> false", true],
  ["five = 5.0", true],
  ["half = 0.5", true],
  ["big = 9007199254740993", true],
  ["big = 9007199254740992", false],
  ["five = TRUE", false],
  ["blob = 'a'", false],
  ["blob <> 'a'", false],
  // A name alone asks whether it is TRUE.
  ["five AND yes", false],
  ["NOT five", true],
  ["nan = nan", false],
  ["nan <> nan", true],
  ["nan < 1 OR nan >= 1", false],
  // Java compares in the wider type: a long with a double as doubles, an int with a float as floats.
  ["big = 9007199254740992.0", true],
  ["tenth = 0.1", false],
  ["tenth = 0.1f", true],
  ["float24 = 16777217", true],
  ["float24 = 16777217.0", false],
  ["longTop > 9223372036854775806", true],
  // Arithmetic with Java's promotion: int wraps at 32 bits, long at 64, whole by whole is whole.
  ["5/2 = 2", true],
  ["-5/2 = -2", true],
  ["5/2.0 = 2.5", true],
  ["top + 1 = bottom", true],
  ["top + 1L > top", true],
  ["top * 2 = -2", true],
  ["longTop + 1 = longBottom", true],
  ["longBottom / -1 = longBottom", true],
  ["bottom / -1 = bottom", true],
  ["-bottom = bottom", true],
  ["0 - five = -5", true],
  ["top * 65537 = 2147418111", true],
  ["top * top = 1", true],
  ["tenth + tenth = 0.2f", true],
  ["tenth * 1.0 = 0.1f", true],
  ["tenth * 3 = 0.3f", true],
  ["9007199791611905L = 9007199791611904f", false],
  ["9007199791611905L * 1f = 9007200328482816f", true],
  ["7 % 4 = 3", true],
  ["-7 % 4 = -3", true],
  ["7.5 % 2 = 1.5", true],
  ["five % 0 = 1", undefined],
  ["five / 0 = 1", undefined],
  ["five / 0.0 > 1000", true],
  ["five + 1 * 2 = 7", true],
  ["(five + 1) * 2 = 12", true],
  ["five - -1 = 6", true],
  ["-five = -5", true],
  ["+five = 5", true],
  ["nul + 1 = 2", undefined],
  ["text + 1 = 2", undefined],
  ["9223372036854775807 + 1 = -9223372036854775808", true],
  // Literals as in Java.
  ["0x10 = 16", true],
  ["010 = 8", true],
  ["57L = 57", true],
  ["57d = 57", true],
  ["-9223372036854775808 = longBottom", true],
  ["0xFFFFFFFF = 4294967295", true],
  ["7. = 7", true],
  [".5 = 0.5", true],
  ["7E3 = 7000", true],
  ["'it''s' = 'it''s'", true],
  // BETWEEN, IN, LIKE, IS NULL.
  ["five BETWEEN 5 AND 6", true],
  ["five NOT BETWEEN 5 AND 6", false],
  ["nul BETWEEN 1 AND 2", undefined],
  ["five between 6 and nul", false],
  ["five NOT BETWEEN 6 AND nul", true],
  ["digits BETWEEN 1 AND 3", false],
  ["digits NOT BETWEEN 1 AND 3", false],
  ["NOT digits BETWEEN 1 AND 3", true],
  ["text IN ('blue', 'red')", true],
  ["text NOT IN ('blue')", true],
  ["nul IN ('a')", undefined],
  ["five IN ('5')", false],
  ["text LIKE 'r%'", true],
  ["text LIKE '_e_'", true],
  ["text LIKE '_e'", false],
  ["text LIKE '%'", true],
  ["text LIKE 'r%e%d'", true],
  ["text NOT LIKE 'r%'", false],
  ["nul LIKE 'a'", undefined],
  ["five LIKE '5'", false],
  ["under LIKE '\\_%' ESCAPE '\\'", true],
  ["percent LIKE '50!%' ESCAPE '!'", true],
  ["text LIKE '\\_%' ESCAPE '\\'", false],
  ["nul IS NULL", true],
  ["text IS NULL", false],
  ["text IS NOT NULL", true],
  // Names: letters of any script, or anything in double quotes.
  ["größe IS NULL AND Ж_1 IS NULL AND $a IS NULL", true],
  ['"five" = 5 AND "a-b" = 1', true],
  ['"say ""hi""" = 2', true],
  // Prefixes of Artemis.
  ["hyphenated_props:a-b = 1 AND five - 1 = 4", true],
  ["a - b = 1", undefined],
  ["convert_string_expressions:digits > 1 AND digits < 2.5 AND digits + 1 = 3", true],
  ["convert_string_expressions:five BETWEEN '1' AND '9'", true],
  ["convert_string_expressions:yes = 'TRUE' AND 'no' <> yes", true],
  ["convert_string_expressions:text > 1", false],
  ["convert_string_expressions:text + 1 > 1", undefined],
  ["convert_string_expressions:no_convert_string_expressions:digits > 1", false],
  ["convert_string_expressions:hyphenated_props:a-b = '1'", true],
  // Keywords in any case, names in theirs.
  ["Text IS null", true],
  ["yes and Not no", true],
];

for (const [selector, expected] of truthTable) {
  test(`the selector ${selector} is ${expected === undefined ? "unknown" : String(expected)}`, () => {
    assert.equal(result(selector), expected);
  });
}

const invalid: readonly string[] = [
  "=",
  "a =",
  "a = = b",
  "a AND",
  "(a = 1",
  "a = 1)",
  "a b",
  "a LIKE 5",
  "5 LIKE 'a'",
  "a IN ()",
  "a IN (1)",
  "a NOT = 1",
  "a IS 5",
  "'open",
  "a = 'x' ESCAPE 'y'",
  "a LIKE 'x' ESCAPE 'long'",
  "a LIKE 'x!' ESCAPE '!'",
  "5",
  "a + 1",
  "'text'",
  "yes AND 5",
  "a = 089",
  "a = 99999999999999999999",
  "a # b",
  "-- comment",
  "/* comment */ yes",
  "yes /* comment",
  "'a' + 'b' = 'ab'",
  "(yes OR no) + 1 = 2",
  "-'5' = 5",
  "(a = 1) > 2",
  "a > (b IS NULL)",
  '"open = 1',
  '"" = 1',
  "a = 9223372036854775808",
  "a = -9223372036854775809",
  "a = 1e999",
  "a = 1e99f",
  "a-b-c",
  "a = NULL",
  "XPATH '//a'",
  "XQUERY '//a'",
  "hyphenated_props:",
  "CONVERT_STRING_EXPRESSIONS:a = 1",
  "a IN ('x',)",
  "a.b = 1",
  "yes AND OR no",
  "abs(five) = 5",
  "NOT",
];

for (const selector of invalid) {
  test(`the selector ${selector} is refused`, () => {
    assert.throws(
      () => parseSelector(selector),
      (error) => EverholdError.is(error, "EVH_INVALID_FILTER"),
    );
  });
}

test("a refusal says what was found, what is expected, and shows the place", () => {
  assert.throws(() => parseSelector("colour = "), {
    message: [
      "cannot read the filter: found the end at character 10, expected a name, a literal or a parenthesis",
      "  colour =",
      "           ^",
    ].join("\n"),
  });
  assert.throws(() => parseSelector("colour\t= 'red' AND 'a' LIKE 'b'"), {
    message: [
      'cannot read the filter: found "a" at character 20, expected a property\'s name',
      "  colour = 'red' AND 'a' LIKE 'b'",
      "                     ^",
    ].join("\n"),
  });
});

test("of a long selector a refusal shows the surroundings of the place", () => {
  const text = `${"a = 1 AND ".repeat(100)}b = = c${" AND d = 1".repeat(100)}`;
  assert.throws(() => parseSelector(text), {
    message: [
      'cannot read the filter: found "=" at character 1005, expected a name, a literal or a parenthesis',
      "  …1 AND a = 1 AND a = 1 AND b = = c AND d = 1 AND d = 1 AND d …",
      "                                 ^",
    ].join("\n"),
  });
});

test("selectors of the greatest length are evaluated, however they are nested", () => {
  for (const text of [
    `five = ${"five+".repeat(3000)}five`,
    `five = ${"five*".repeat(3000)}five`,
    `${"no OR ".repeat(2500)}yes`,
    `${"yes AND ".repeat(2000)}yes`,
    `${"(".repeat(190)}yes${")".repeat(190)}`,
    `text NOT IN (${"'x',".repeat(4000)}'y')`,
    `${"yes = ".repeat(190)}yes`,
  ]) {
    const found = result(text);
    assert.ok(found === true || text.startsWith("five"), text.slice(0, 40));
  }
});

test("too deep and too long selectors are refused", () => {
  for (const text of [
    `${"(".repeat(5000)}a`,
    `${"NOT ".repeat(3000)}a`,
    `a=${"-+".repeat(5000)}a`,
    "a = ".repeat(4000) + "a",
    "a".repeat(20_000),
  ]) {
    assert.throws(
      () => parseSelector(text),
      (error) => EverholdError.is(error, "EVH_INVALID_FILTER"),
    );
  }
});

test("only numbers have an order: a selector that could never match is refused", () => {
  for (const text of ["text > 'a'", "'a' <= text", "yes < TRUE", "text BETWEEN 'a' AND 'z'"]) {
    assert.throws(
      () => parseSelector(text),
      (error) => EverholdError.is(error, "EVH_INVALID_FILTER"),
    );
  }
});

test("no text and blanks are no filter", () => {
  assert.equal(parseFilter(null), undefined);
  assert.equal(parseFilter("  "), undefined);
});

test("any text is either a selector or refused with its code", () => {
  const word = fc.constantFrom(
    ..."( ) a b 'x' 5 0.5 = <> < > + - * / AND OR NOT IN LIKE BETWEEN IS NULL ESCAPE TRUE ,".split(
      " ",
    ),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 12 }), (words) => {
      try {
        const found = result(words.join(" "));
        assert.ok(found === undefined || typeof found === "boolean" || words.length === 1);
      } catch (error) {
        assert.ok(EverholdError.is(error, "EVH_INVALID_FILTER"));
      }
    }),
    { numRuns: 3000 },
  );
});

test("any text whatever is either a selector or refused, with a caret under what it has", () => {
  const pieces = fc.oneof(
    fc.string({ unit: "binary", maxLength: 6 }),
    fc.constantFrom(
      "'",
      '"',
      "--",
      "/*",
      "0x",
      "1e",
      "1.",
      "hyphenated_props:",
      "NOT ",
      "a ",
      "=",
      "\n",
    ),
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 10 }), (parts) => {
      const text = parts.join("");
      try {
        parseSelector(text);
      } catch (error) {
        assert.ok(EverholdError.is(error, "EVH_INVALID_FILTER"), String(error));
        assert.match(error.message, /\n {2}.*\n {2} *\^$/u);
      }
    }),
    { numRuns: 3000 },
  );
});

test("LIKE agrees with a regular expression", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "%", "_"), maxLength: 8 });
  fc.assert(
    fc.property(letters, letters, (text, pattern) => {
      const expression = parseSelector(`p LIKE '${pattern}'`);
      const found = evaluate(expression, { valueOf: () => text });
      const regular = new RegExp(`^${pattern.replaceAll("%", ".*").replaceAll("_", ".")}$`, "s");
      assert.equal(found, regular.test(text));
    }),
  );
});

test("a long pattern is matched against a long value, and refused where it could cost too much", () => {
  const value = "a".repeat(500_000);
  const matches = (selector: string): unknown =>
    evaluate(parseSelector(selector), { valueOf: () => value });
  assert.equal(matches(`p LIKE '%${"a".repeat(8_000)}b'`), false);
  assert.equal(matches(`p LIKE '%${"a".repeat(8_000)}%'`), true);
  assert.equal(matches(`p LIKE '${"_".repeat(255)}%'`), true);
  assert.throws(
    () => parseSelector(`p LIKE '%${"_".repeat(256)}'`),
    (error) => EverholdError.is(error, "EVH_INVALID_FILTER"),
  );
});

test("a selector sees headers and properties of a message", () => {
  const bytes = messageOf("orders", {
    priority: 7,
    timestamp: 5,
    userId: new Uint8Array(16).fill(0xab),
    properties: {
      count: { type: "int", value: 3 },
      long: { type: "long", value: 2n ** 60n },
      ratio: { type: "double", value: 0.25 },
      name: { type: "string", value: "ann" },
      blob: { type: "bytes", value: new Uint8Array(3) },
      ratioF: { type: "float", value: 0.25 },
      small: { type: "short", value: 1 },
      tiny: { type: "byte", value: 2 },
      letter: { type: "char", value: "z" },
      flag: { type: "boolean", value: true },
      nothing: { type: "null", value: null },
      JMSCorrelationID: { type: "string", value: "c" },
      JMSType: { type: "string", value: "t" },
      _AMQ_GROUP_ID: { type: "string", value: "g" },
      _AMQ_GROUP_SEQUENCE: { type: "int", value: 4 },
      _AMQ_VALIDATED_USER: { type: "string", value: "ann" },
    },
  });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const matches = (text: string): boolean =>
    new Selector(text).matches(bytes, view, 0, bytes.length);
  for (const text of [
    "count = 3 AND long = 1152921504606846976 AND ratio = 0.25 AND name = 'ann'",
    "AMQPriority = 7 AND JMSPriority = 7",
    "AMQDurable = 'DURABLE' AND JMSDeliveryMode = 'PERSISTENT'",
    "AMQTimestamp = 5 AND AMQExpiration = 0",
    "JMSTimestamp = 5 AND JMSExpiration = 0",
    "JMSXGroupID = 'g' AND JMSXGroupSeq = 4 AND JMSXUserID = 'ann'",
    "JMSMessageID = AMQUserID AND JMSCorrelationID = 'c' AND JMSType = 't'",
    "ratioF * 2 = 0.5 AND small = 1 AND tiny = 2 AND letter = 'z' AND flag",
    "AMQAddress = 'orders' AND AMQGroupID = 'g'",
    "AMQUserID = 'ID:abababab-abab-abab-abab-abababababab'",
    "AMQSize > 50",
    "blob IS NOT NULL AND missing IS NULL AND nothing IS NULL",
    "__AMQ_CID <> 'me' OR __AMQ_CID IS NULL",
  ]) {
    assert.ok(matches(text), text);
  }
  for (const text of ["_AMQX=-1", "blob = 'a'", "count = '3'", "blob <> 5"]) {
    assert.ok(!matches(text), text);
  }
});

/** What of these selectors is true, one after the other: t, f or unknown. */
function verdicts(...selectors: readonly string[]): string {
  return selectors
    .map((selector) => {
      const found = result(selector);
      return found === undefined ? "u" : found === true ? "t" : "f";
    })
    .join("");
}

test("A13.1 the tables of AND, OR and NOT, and their negations", () => {
  const operands = ["yes", "no", "nul"];
  const table = (operator: string): string =>
    verdicts(...operands.flatMap((one) => operands.map((other) => `${one} ${operator} ${other}`)));
  const negated = (operator: string): string =>
    verdicts(
      ...operands.flatMap((one) => operands.map((other) => `NOT (${one} ${operator} ${other})`)),
    );
  assert.equal(table("AND"), "tfufffufu");
  assert.equal(negated("AND"), "ftutttutu");
  assert.equal(table("OR"), "ttttfutuu");
  assert.equal(negated("OR"), "fffftufuu");
  assert.equal(verdicts("NOT yes", "NOT no", "NOT nul"), "ftu");
});

test("A13.2 a text is never a number, and the contrary of false is true", () => {
  assert.equal(verdicts("digits > 1", "NOT (digits > 1)", "digits = 2", "digits <> 3"), "ftff");
  assert.equal(verdicts("five = 5.0", "five < 5.5", "half = 0.5", "yes = 'true'"), "tttf");
  assert.equal(verdicts("longTop = 9223372036854775806", "big = 9007199254740992"), "ff");
});

test("A13.3 LIKE knows one character, any run, and what is escaped", () => {
  assert.equal(verdicts("under LIKE '\\_%' ESCAPE '\\'", "under LIKE '!_fo_' ESCAPE '!'"), "tt");
  assert.equal(verdicts("nul LIKE '%'", "nul IN ('a')", "nul NOT IN ('a')"), "uuu");
});

test("A13.6 NOT binds looser than a comparison", () => {
  assert.equal(verdicts("NOT text = 'blue'", "NOT text = 'red'", "NOT five > 6 AND yes"), "tft");
});

test("A13.7 nothing is equal to what is missing, not even what is missing as well", () => {
  assert.equal(verdicts("nul = nul", "nul = other", "five = nul", "nul <> five"), "uuuu");
});

test("A13.8 whole numbers divide to whole ones, as in Java", () => {
  assert.equal(verdicts("5/2 = 2", "5/2 = 2.5", "5/2.0 = 2.5", "7 % 4 = 3", "5/0 = 1"), "tfttu");
});

test("A13.9 there are no comments", () => {
  assert.throws(() => parseSelector("yes /* no */ AND yes"));
  assert.equal(verdicts("five --1 = 6"), "t");
});

test("A13.10 names are of any script, and anything in double quotes", () => {
  assert.equal(verdicts("größe IS NULL", "Ж IS NULL", "変数 IS NULL", '"a-b" = 1'), "tttt");
});

test("A13.11 texts are not added up", () => {
  assert.throws(() => parseSelector("'a' + 'b' = 'ab'"));
  assert.equal(verdicts("text + text = 'redred'", "text + 1 = 2"), "uu");
});

test("A13.12 each pair of types is compared as Java's promotion has it", () => {
  assert.equal(verdicts("big = 9007199254740992.0", "big = 9007199254740993"), "tt");
  assert.equal(verdicts("float24 = 16777217", "float24 = 16777217.0", "tenth = 0.1"), "tff");
});

test("A13.13 the prefixes of Artemis are taken, its functions are not", () => {
  assert.equal(verdicts("hyphenated_props:a-b = 1", "convert_string_expressions:digits > 1"), "tt");
  for (const text of ["XPATH '//a'", "XQUERY '//a'", "abs(five) = 5"]) {
    assert.throws(
      () => parseSelector(text),
      (error) => EverholdError.is(error, "EVH_INVALID_FILTER"),
    );
  }
});
