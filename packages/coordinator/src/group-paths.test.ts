import assert from "node:assert/strict";
import { test } from "node:test";
import { memberNameOf, memberPrefixOf, pathsOf } from "./group-paths.ts";

test("the nodes of a group are below its own, whatever its name", () => {
  assert.deepEqual(pathsOf("/everhold", "orders"), {
    group: "/everhold/groups/orders",
    state: "/everhold/groups/orders/state",
    live: "/everhold/groups/orders/live",
    members: "/everhold/groups/orders/members",
  });
  assert.equal(pathsOf("/", "a/../b").state, "/groups/a%2F..%2Fb/state");
});

test("members with different names have different nodes", () => {
  assert.equal(memberNameOf({ id: "anna", incarnation: "1" }), "anna@1");
  assert.equal(memberNameOf({ id: "anna@1", incarnation: "2/3" }), "anna%401@2%2F3");
  assert.ok(!memberNameOf({ id: "anna@1", incarnation: "2" }).startsWith(memberPrefixOf("anna")));
});

for (const name of ["", ".", "..", "\ud800"]) {
  test(`${JSON.stringify(name)} names no group and no member`, () => {
    const refused = { code: "EVH_CONFIG", message: /expected a text other than dots/ };
    assert.throws(() => pathsOf("/everhold", name), refused);
    assert.throws(() => memberNameOf({ id: name, incarnation: "1" }), refused);
    assert.throws(() => memberNameOf({ id: "anna", incarnation: name }), refused);
  });
}
