import assert from "node:assert/strict";
import { test } from "node:test";
import { DownMarks } from "./down-marks.ts";
import { instanceOf, instanceBytes, readInstance } from "./service-instance.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** With the fields of Curator's `ServiceInstance`. */
const curators =
  '{"name":"orders","id":"a-1","address":"10.0.0.7","port":8080,"sslPort":null,"payload":null,' +
  '"registrationTimeUTC":1325129459728,"serviceType":"DYNAMIC",' +
  '"uriSpec":{"parts":[{"value":"scheme","variable":true},{"value":"://","variable":false}]},' +
  '"enabled":true}';

test("an instance is written as Curator writes it, and read as it was written", () => {
  const parts = [
    { value: "scheme", variable: true },
    { value: "://", variable: false },
  ];
  const instance = instanceOf(
    {
      ...{ name: "orders", id: "a-1", address: "10.0.0.7", port: 8080 },
      ...{ registrationTimeUTC: 1_325_129_459_728, uriSpec: { parts } },
    },
    () => "unused",
  );
  assert.equal(new TextDecoder().decode(instanceBytes(instance)), curators);
  assert.deepEqual(readInstance(encode(curators)), instance);
  const old = curators.replace(',"enabled":true', "");
  assert.deepEqual(readInstance(encode(old)), instance, "older versions do not say enabled");
});

test("what is no instance is refused by the field that is wrong", () => {
  for (const [text, problem] of [
    ["", /found 0 bytes/],
    ["{", /it is no JSON/],
    ["[]", /found no object/],
    [curators.replace('"a-1"', '"a/1"'), /field id is "a\/1"/],
    [curators.replace("8080", '"8080"'), /field port is "8080"/],
    [curators.replace("8080", "70000"), /field port is 70000/],
    [curators.replace("DYNAMIC", "OFTEN"), /field serviceType is "OFTEN"/],
    [curators.replace("true}]", "1}]").replace('"value":"://"', '"v":1'), /field uriSpec/],
    [curators.replace('"enabled":true', '"enabled":"yes"'), /field enabled is "yes"/],
  ] as const) {
    assert.throws(() => readInstance(encode(text)), { code: "EVH_PROTOCOL", message: problem });
  }
  assert.throws(() => readInstance(null), { code: "EVH_PROTOCOL" });
  assert.throws(() => readInstance(new Uint8Array([0xff])), { code: "EVH_PROTOCOL" });
  for (const service of [{ name: "" }, { name: "a/b" }, { name: "a", port: -1 }]) {
    assert.throws(() => instanceOf(service, () => "id"), { code: "EVH_CONFIG" });
  }
});

test("an instance is down after its errors, until the time from the first of them is over", () => {
  let nowMs = 0;
  const marks = new DownMarks({ nowMs: () => nowMs }, { errorCountMax: 2, downTime: 100 });
  marks.note("a");
  assert.equal(marks.isDown("a"), false);
  nowMs = 50;
  marks.note("a");
  assert.equal(marks.isDown("a"), true);
  assert.equal(marks.isDown("b"), false);
  nowMs = 100;
  assert.equal(marks.isDown("a"), false);
  marks.note("a");
  assert.equal(marks.isDown("a"), false, "it begins anew");
});
