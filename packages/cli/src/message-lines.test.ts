import assert from "node:assert/strict";
import { test } from "node:test";

import { isoTime } from "./iso-time.ts";
import { parseMessageLine } from "./message-lines.ts";

test("a line says its body in one of four ways", () => {
  assert.equal(parseMessageLine('{"body":"text"}').body, "text");
  assert.deepEqual(parseMessageLine('{"json":[1,null]}').body, { json: [1, null] });
  assert.deepEqual(parseMessageLine('{"map":{"a":1}}').body, { map: { a: 1 } });
  assert.deepEqual(parseMessageLine('{"base64":"AP8="}').body, new Uint8Array([0, 255]));
  assert.equal(parseMessageLine('{"base64":"","bodyKind":"other"}').body, undefined);
});

test("headers and properties go along, what only a broker can say does not", () => {
  const line = {
    body: "x",
    id: "ID:1",
    address: "elsewhere",
    deliveryCount: 3,
    priority: 9,
    durable: false,
    correlationId: "c",
    properties: { n: 1, s: "a", b: true, z: null, y: { base64: "/w==" } },
  };
  assert.deepEqual(parseMessageLine(JSON.stringify(line)).options, {
    durable: false,
    priority: 9,
    correlationId: "c",
    properties: { n: 1, s: "a", b: true, z: null, y: new Uint8Array([255]) },
  });
});

test("a time that no calendar has is a number", () => {
  assert.equal(isoTime(0), "1970-01-01T00:00:00.000Z");
  assert.equal(isoTime(8.64e15), "+275760-09-13T00:00:00.000Z");
  assert.equal(isoTime(8.64e15 + 1), "8640000000000001");
  assert.equal(isoTime(Number.MAX_SAFE_INTEGER), "9007199254740991");
});

test("what is wrong with a line is said", () => {
  const problems: readonly (readonly [string, RegExp])[] = [
    ["not json", /^Error: expected a JSON object, found not json$/],
    ["[1]", /expected a JSON object, found \[1\]/],
    ["{}", /expected one of body, json, map, base64, found none/],
    ['{"body":"a","json":1}', /found body and json/],
    ['{"body":1}', /body: expected a text/],
    ['{"body":"a","bodi":1}', /unknown key bodi; allowed: body, json, /],
    ['{"body":"a","priority":10}', /priority: expected a whole number from 0 to 9/],
    ['{"body":"a","durable":"yes"}', /durable: expected true or false/],
    ['{"body":"a","properties":{"p":[1]}}', /properties\.p: expected a text, a number/],
    ['{"body":"a","properties":1}', /properties: expected a JSON object/],
    ['{"body":"a","type":1}', /type: expected a text/],
    ['{"base64":"AP8=?"}', /base64: expected base64, found AP8=\?$/],
    ['{"body":"a","properties":{"p":{"base64":"A"}}}', /properties\.p\.base64: expected base64/],
  ];
  for (const [line, problem] of problems) assert.throws(() => parseMessageLine(line), problem);
});
