/** The names of all tests, as they stand in the sources, for documents that say which test shows what. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Every text in quotes in a file of tests, the first file that has it, and what that describes there. */
export function testNames(root) {
  const names = new Map();
  for (const folder of ["packages", "test"]) {
    const files = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" });
    for (const path of files.map((one) => one.replaceAll("\\", "/")).toSorted()) {
      if (!/\.(test|suite|interop|failover|zookeeper)\.ts$|\/java\/src\/.*\.java$/.test(path))
        continue;
      if (/(^|\/)(dist|node_modules|\.cache)\//.test(path)) continue;
      const file = `${folder}/${path}`;
      for (const { name, subject } of textsOf(readFileSync(join(root, file), "utf8"))) {
        if (!names.has(name)) names.set(name, { file, subject });
      }
    }
  }
  return names;
}

function textsOf(source) {
  const texts = [];
  let subject = "";
  const quoted = /(describe\(\s*)?(?:"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\\n]|\\.)*)`)/g;
  for (const [, describes, plain, template] of source.matchAll(quoted)) {
    const name = (plain ?? template).replaceAll(/\\(.)/g, "$1");
    if (describes !== undefined) subject = name;
    texts.push({ name, subject });
  }
  return texts;
}

/**
 * Tests by the ids that their names begin with.
 *
 * @param idsAndName matches such a name: the ids, the rest
 */
export function testsById(tests, idsAndName) {
  const named = new Map();
  for (const [whole, place] of tests) {
    const [, ids, name] = idsAndName.exec(whole) ?? [];
    for (const id of ids?.split(", ") ?? []) {
      if (!named.has(id)) named.set(id, []);
      named.get(id).push({ name, place });
    }
  }
  return named;
}

/** One test in words. */
export function testLine({ name, place }) {
  const subject = place.subject === "" ? "" : `${place.subject}: `;
  return `${(subject + name).replaceAll(/\$\{.*?\}/g, "…")} (${place.file})`;
}
