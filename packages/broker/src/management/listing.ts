import { EverholdError } from "@everhold/base";

import type { ManagementValue } from "./operation.ts";

/** One field of the rows of a listing. */
export interface Column<R> {
  readonly name: string;
  value(row: R): Cell;
}

/** What stands in a field. */
export type Cell = string | number | boolean;

/** Which rows of a listing are wanted. */
export interface PageRequest {
  /** JSON: `field`, `operation` and `value` of a filter, `sortField` and `sortOrder`; empty for none. */
  readonly options: string;
  /** 1 is the first; −1 asks for all rows. */
  readonly page: number;
  readonly pageSize: number;
}

/**
 * The rows that are asked for, by name or else the first column unless `options` say otherwise, and how
 * many there are on all pages. Filters, sorting and paging as in Artemis, `ActiveMQAbstractView`.
 *
 * @throws EverholdError EVH_REJECTED for options that are not understood
 */
export function listPage<R>(
  rows: Iterable<R>,
  columns: readonly Column<R>[],
  request: PageRequest,
): ManagementValue {
  const options = readOptions(request.options);
  const matches = matcherOf(columns, options);
  const found = matches === undefined ? [...rows] : [...rows].filter(matches);
  sort(found, columns, options);
  const { page, pageSize } = request;
  const isAll = page === -1 || pageSize === -1;
  const start = isAll ? 0 : Math.max(0, (page - 1) * pageSize);
  const shown = isAll ? found : found.slice(start, start + Math.max(0, pageSize));
  const data = shown.map((row) =>
    Object.fromEntries(columns.map((column) => [column.name, column.value(row)])),
  );
  return { data, count: found.length };
}

type Options = Readonly<Record<string, string>>;

function readOptions(text: string): Options {
  if (text.trim() === "") return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new EverholdError("EVH_REJECTED", `cannot list: the options are not JSON`, {
      cause: error,
    });
  }
  if (typeof value !== "object" || value === null) {
    throw new EverholdError("EVH_REJECTED", "cannot list: expected the options as a JSON object");
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, entry]) => [name, typeof entry === "string" ? entry : ""]),
  );
}

type Matcher<R> = (row: R) => boolean;

function matcherOf<R>(columns: readonly Column<R>[], options: Options): Matcher<R> | undefined {
  const field = options["field"] ?? "";
  const operation = options["operation"] ?? "";
  const value = options["value"] ?? "";
  if (field === "" || operation === "") return undefined;
  const column = columnOf(columns, field);
  const compare = Object.entries(comparisons).find(([name]) => name === operation)?.[1];
  if (compare === undefined) {
    const known = Object.keys(comparisons).join(", ");
    throw new EverholdError(
      "EVH_REJECTED",
      `cannot list: found the operation "${operation}", expected one of ${known}`,
    );
  }
  return (row) => compare(column.value(row), value);
}

const comparisons: Readonly<Record<string, (cell: Cell, value: string) => boolean>> = {
  EQUALS: equals,
  NOT_EQUALS: (cell, value) => !equals(cell, value),
  CONTAINS: contains,
  NOT_CONTAINS: (cell, value) => !contains(cell, value),
  GREATER_THAN: (cell, value) => typeof cell === "number" && cell > numberOf(value),
  LESS_THAN: (cell, value) => typeof cell === "number" && cell < numberOf(value),
};

function equals(cell: Cell, value: string): boolean {
  return typeof cell === "number" ? cell === numberOf(value) : String(cell) === value;
}

function contains(cell: Cell, value: string): boolean {
  return typeof cell !== "number" && String(cell).includes(value);
}

function numberOf(value: string): number {
  return value.trim() === "" ? Number.NaN : Number(value);
}

function sort<R>(rows: R[], columns: readonly Column<R>[], options: Options): void {
  const field = options["sortField"] ?? options["sortColumn"] ?? "";
  const order = (options["sortOrder"] ?? "").toLowerCase();
  const isSaid = field !== "" && order !== "";
  const usual = columns.find(({ name }) => name === "name") ?? columns[0];
  const column = isSaid ? columnOf(columns, field) : usual;
  if (column === undefined) return;
  const sign = isSaid && order === "desc" ? -1 : 1;
  const cells = new Map(rows.map((row) => [row, column.value(row)]));
  rows.sort((left, right) => sign * compareCells(cells.get(left), cells.get(right)));
}

function compareCells(left: Cell | undefined, right: Cell | undefined): number {
  if (left === undefined || right === undefined || left === right) return 0;
  return left < right ? -1 : 1;
}

/** Both spellings are in use: `messageCount` and `MESSAGE_COUNT`. */
function columnOf<R>(columns: readonly Column<R>[], name: string): Column<R> {
  const wanted = plain(name);
  const found = columns.find((column) => plain(column.name) === wanted);
  if (found !== undefined) return found;
  const known = columns.map((column) => column.name).join(", ");
  throw new EverholdError(
    "EVH_REJECTED",
    `cannot list: found the field "${name}", expected one of ${known}`,
  );
}

function plain(name: string): string {
  return name.replaceAll("_", "").toLowerCase();
}
