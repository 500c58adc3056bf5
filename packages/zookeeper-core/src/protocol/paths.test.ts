import assert from "node:assert/strict";
import { test } from "node:test";
import { childOf, joinPath, nameOf, parentOf, pathProblem, withoutPrefix } from "./paths.ts";

test("good paths have no problem", () => {
  for (const path of [
    "/",
    "/a",
    "/a/b",
    "/a.b/..c/.d",
    "/ä/中",
    "/a b",
    "/zookeeper/config",
    "/a-01/b_c.d",
  ]) {
    assert.equal(pathProblem(path), undefined, path);
  }
});

test("a path is refused with what is wrong with it", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["", /begin with a slash/],
    ["a", /begin with a slash/],
    ["/a/", /ends with a slash/],
    ["//", /ends with a slash/],
    ["//a", /two slashes/],
    ["/a//b", /two slashes/],
    ["/.", /component "\."/],
    ["/a/../b", /component "\.\."/],
    ["/a\u0000", /U\+0000 at position 2/],
    ["/\u001f", /U\+001F/],
    ["/\u007f", /U\+007F/],
    ["/\u009f", /U\+009F/],
    ["/\u{1F600}", /U\+D83D/],
    ["/\uf8ff", /U\+F8FF/],
    ["/\ufff0", /U\+FFF0/],
  ];
  for (const [path, expected] of cases) assert.match(pathProblem(path) ?? "", expected);
});

test("a path that is too long is refused, whatever its length and form", () => {
  for (const piece of ["/a", "/aaaaaaa", "//"]) {
    for (const length of [1_048_576, 8_388_608]) {
      const path = piece.repeat(length / piece.length);
      const problem = `has ${length} characters, the limit is 1048575`;
      assert.equal(pathProblem(path), problem);
    }
  }
  assert.equal(pathProblem(`/${"a".repeat(1_048_574)}`), undefined);
  assert.equal(pathProblem(`/a${"/a".repeat(524_286)}`), undefined);
});

test("a path that gets digits behind it may end with a slash", () => {
  assert.equal(pathProblem("/locks/", { isSequential: true }), undefined);
  assert.match(pathProblem("/locks//", { isSequential: true }) ?? "", /two slashes/);
  assert.match(pathProblem("", { isSequential: true }) ?? "", /begin with a slash/);
});

test("a prefix comes before a path and goes away again", () => {
  for (const prefix of ["", "/app", "/app/one"]) {
    for (const path of ["/", "/a", "/a/b"]) {
      assert.equal(withoutPrefix(prefix, joinPath(prefix, path)), path);
    }
  }
  assert.equal(withoutPrefix("/app", "/apple"), undefined);
  assert.equal(withoutPrefix("/app", "/"), undefined);
});

test("parents, names and children fit together", () => {
  assert.equal(parentOf("/"), undefined);
  assert.equal(parentOf("/a"), "/");
  assert.equal(parentOf("/a/b"), "/a");
  assert.equal(nameOf("/a/b"), "b");
  assert.equal(childOf("/", "a"), "/a");
  assert.equal(childOf("/a", "b"), "/a/b");
});
