import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EverholdError } from "@everhold/base";

import { listPage, type Column } from "./listing.ts";

interface Fruit {
  readonly name: string;
  readonly count: number;
  readonly isRipe: boolean;
}

const fruits: Fruit[] = [
  { name: "pear", count: 3, isRipe: true },
  { name: "apple", count: 10, isRipe: false },
  { name: "plum", count: 2, isRipe: true },
];

const columns: Column<Fruit>[] = [
  { name: "messageCount", value: (fruit) => fruit.count },
  { name: "name", value: (fruit) => fruit.name },
  { name: "ripe", value: (fruit) => fruit.isRipe },
];

/** The names on a page, and the count of all pages. */
function list(options: object | string, page = 1, pageSize = 10): [string[], number] {
  const text = typeof options === "string" ? options : JSON.stringify(options);
  const found = listPage(fruits, columns, { options: text, page, pageSize });
  const { data, count } = JSON.parse(JSON.stringify(found)) as { data: Fruit[]; count: number };
  return [data.map(({ name }) => name), count];
}

describe("a listing", () => {
  it("is sorted by name unless it is told otherwise", () => {
    assert.deepEqual(list(""), [["apple", "pear", "plum"], 3]);
    assert.deepEqual(list({ field: "", operation: "", value: "" }), [["apple", "pear", "plum"], 3]);
  });

  it("sorts numbers by value, in either direction", () => {
    assert.deepEqual(list({ sortField: "messageCount", sortOrder: "asc" })[0], [
      ...["plum", "pear", "apple"],
    ]);
    assert.deepEqual(list({ sortColumn: "messageCount", sortOrder: "desc" })[0], [
      ...["apple", "pear", "plum"],
    ]);
  });

  it("counts what is on all pages and shows one of them", () => {
    assert.deepEqual(list("", 2, 2), [["plum"], 3]);
    assert.deepEqual(list("", 3, 2), [[], 3]);
    assert.deepEqual(list("", -1, 2), [["apple", "pear", "plum"], 3]);
    assert.deepEqual(list("", 0, -5), [[], 3]);
  });

  it("filters by each operation, with either spelling of a field", () => {
    const filter = (field: string, operation: string, value: string): string[] =>
      list({ field, operation, value })[0];
    assert.deepEqual(filter("NAME", "CONTAINS", "p"), ["apple", "pear", "plum"]);
    assert.deepEqual(filter("name", "NOT_CONTAINS", "l"), ["pear"]);
    assert.deepEqual(filter("name", "EQUALS", "plum"), ["plum"]);
    assert.deepEqual(filter("name", "NOT_EQUALS", "plum"), ["apple", "pear"]);
    assert.deepEqual(filter("MESSAGE_COUNT", "GREATER_THAN", "2"), ["apple", "pear"]);
    assert.deepEqual(filter("messageCount", "LESS_THAN", "3"), ["plum"]);
    assert.deepEqual(filter("messageCount", "EQUALS", "10"), ["apple"]);
    assert.deepEqual(filter("ripe", "EQUALS", "true"), ["pear", "plum"]);
  });

  it("a number is compared with numbers only", () => {
    assert.deepEqual(
      list({ field: "messageCount", operation: "GREATER_THAN", value: "many" })[0],
      [],
    );
    assert.deepEqual(list({ field: "messageCount", operation: "EQUALS", value: "" })[0], []);
  });

  it("says what it does not understand and what it would", () => {
    const refusal = (options: object | string, text: RegExp): void => {
      assert.throws(
        () => list(options),
        (error) => EverholdError.is(error, "EVH_REJECTED") && text.test(error.message),
      );
    };
    refusal("{", /not JSON/);
    refusal("7", /JSON object/);
    refusal({ field: "size", operation: "EQUALS", value: "" }, /"size".*messageCount, name, ripe/);
    refusal({ field: "name", operation: "LIKE", value: "" }, /"LIKE".*NOT_CONTAINS/);
    refusal({ sortField: "size", sortOrder: "asc" }, /"size"/);
  });
});
