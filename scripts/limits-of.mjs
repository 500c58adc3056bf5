/**
 * The limits that a package's `limits.ts` declares, as `{ name, value, meaning }`: the meaning from
 * the docstring in `source` (or from the exported `limitNotes`, where a package keeps them as data),
 * the value from the compiled module. A limit is an exported constant, or a member of one that is an
 * object. It relies on the formatter's indentation, two columns a level.
 *
 * Throws where a limit has no meaning: a limit that nobody explains is a number out of nowhere.
 */
export function limitsOf(source, values, file) {
  const rows = [];
  const path = [];
  let comment = "";
  for (const line of withCommentsOnOneLine(source).split("\n")) {
    if (line.trim() === "") continue;
    const isComment = line.trimStart().startsWith("/**");
    const declared = /^(\s*)(?:export const )?([A-Za-z_$][\w$]*)\s*(?::|=)/.exec(line);
    if (declared !== null && (declared[1] !== "" || line.startsWith("export const "))) {
      const depth = declared[1].length / 2;
      path.splice(depth, path.length, declared[2]);
      const value = valueAt(values, path);
      if (isPlain(value) && path[0] !== "limitNotes") {
        const name = path.filter((part) => !/limits$/i.test(part)).join(".");
        const meaning = comment || meaningOf(values.limitNotes?.[name]);
        if (meaning === "") throw new Error(`${file}: ${name} has no docstring`);
        rows.push({ name, value: formatValue(path.at(-1), value), meaning });
      }
    }
    comment = isComment ? textOf(line) : "";
  }
  return rows;
}

/** So that every docstring is one line above what it describes. */
function withCommentsOnOneLine(source) {
  return source.replaceAll(/\/\*\*[\s\S]*?\*\//g, (text) => text.replaceAll(/\n\s*\*? ?/g, " "));
}

function meaningOf(note) {
  return note === undefined ? "" : `${note.reason}. When hit: ${note.hit}.`;
}

function textOf(commentLine) {
  return commentLine
    .trim()
    .replace(/^\/\*\*\s*/, "")
    .replace(/\s*\*?\/$/, "")
    .replaceAll(/\{@link (\S+?)\}/g, "`$1`")
    .replaceAll(/\s+/g, " ");
}

function valueAt(values, path) {
  let value = values;
  for (const name of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = value[name];
  }
  return value;
}

function isPlain(value) {
  return ["number", "bigint", "string", "boolean"].includes(typeof value);
}

/** As a person would write it: sizes and durations get a second, rounder form where there is one. */
function formatValue(name, value) {
  if (typeof value !== "number") return `\`${String(value)}\``;
  const plain = value.toLocaleString("en-US");
  if (/Bytes/.test(name)) return withUnit(plain, value, ["GiB", "MiB", "KiB"], 1024);
  if (/Ms(?![a-z])/.test(name)) return inSeconds(plain, value);
  return plain;
}

function withUnit(plain, value, units, step) {
  for (const [index, unit] of units.entries()) {
    const size = step ** (units.length - index);
    if (value >= size && value % size === 0) return `${plain} (${value / size} ${unit})`;
  }
  return plain;
}

function inSeconds(plain, value) {
  return value >= 1000 && value % 1000 === 0 ? `${plain} (${value / 1000} s)` : plain;
}
