import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import {
  forTestsOnly,
  importsInsideLayer,
  importsOf,
  layers,
  packages,
  referencesOf,
  sourceFiles,
} from "./repository.ts";

describe("layers", () => {
  it("every package has a place in the layers, and every place a package", () => {
    const names = packages().map((one) => one.name);
    assert.deepEqual(names.toSorted(), [...layers.keys()].toSorted());
  });

  it("a package depends on lower layers only; its tests also on what is for tests only", () => {
    const wrong = packages().flatMap(({ name, dependencies, devDependencies }) =>
      [...dependencies, ...devDependencies.filter((other) => !forTestsOnly.includes(other))]
        .filter((other) => layers.has(other) && !mayImport(name, other))
        .map((other) => `${name} → ${other}`),
    );
    assert.deepEqual(wrong, []);
  });

  it("what a package imports of the others, its package.json lists", () => {
    const wrong = packages().flatMap(({ folder, name, dependencies, devDependencies }) =>
      sourceFiles(`${folder}/src`).flatMap((file) => {
        const listed = [name, ...dependencies, ...(isTest(file) ? devDependencies : [])];
        return importsOf(file)
          .filter((specifier) => isOurs(specifier) && !listed.includes(specifier))
          .map((specifier) => `${file} → ${specifier}`);
      }),
    );
    assert.deepEqual(wrong, []);
  });

  it("what is for tests only, no package depends on", () => {
    const wrong = packages().flatMap(({ name, dependencies }) =>
      dependencies
        .filter((other) => forTestsOnly.includes(other))
        .map((other) => `${name} → ${other}`),
    );
    assert.deepEqual(wrong, []);
  });

  it("packages are imported through their index only", () => {
    const folders = ["packages", "test", "bench"].flatMap(sourceFiles);
    const wrong = folders.flatMap((file) =>
      importsOf(file)
        .filter((specifier) => isOurs(specifier) && !layers.has(specifier))
        .map((specifier) => `${file} → ${specifier}`),
    );
    assert.deepEqual(wrong, []);
  });

  it("a relative import names a .ts file and stays in its package", () => {
    const wrong = packages().flatMap(({ folder }) =>
      sourceFiles(`${folder}/src`).flatMap((file) =>
        importsOf(file)
          .filter((specifier) => specifier.startsWith("."))
          .filter((specifier) => !isInside(`${folder}/src`, file, specifier))
          .map((specifier) => `${file} → ${specifier}`),
      ),
    );
    assert.deepEqual(wrong, []);
  });

  it("nothing inside a package imports its index, tests excepted", () => {
    const wrong = packages().flatMap(({ folder }) =>
      sourceFiles(`${folder}/src`)
        .filter((file) => !isTest(file))
        .filter((file) =>
          importsOf(file).some(
            (specifier) => resolved(file, specifier) === `${folder}/src/index.ts`,
          ),
        ),
    );
    assert.deepEqual(wrong, []);
  });

  it("a package refers in tsconfig to exactly the packages that it depends on", () => {
    const folderOf = new Map(packages().map((one) => [one.name, one.folder]));
    const foldersOf = (names: readonly string[]): string[] =>
      names.flatMap((name) => folderOf.get(name) ?? []).toSorted();
    for (const { folder, dependencies, devDependencies } of packages()) {
      const expected = {
        "tsconfig.json": foldersOf(dependencies),
        "tsconfig.test.json": foldersOf([...dependencies, ...devDependencies]),
      };
      for (const [config, folders] of Object.entries(expected)) {
        assert.deepEqual(referencesOf(folder, config), folders, `${folder}/${config}`);
      }
    }
  });

  it("the root project builds every package and its tests", () => {
    const expected = packages().flatMap(({ folder }) => [folder, `${folder}/tsconfig.test.json`]);
    const referenced = new Set(referencesOf(".", "tsconfig.json"));
    assert.deepEqual(
      expected.filter((path) => !referenced.has(path)),
      [],
    );
  });
});

function mayImport(from: string, to: string): boolean {
  if (importsInsideLayer.includes(`${from} → ${to}`)) return true;
  return (layers.get(to) ?? Infinity) < (layers.get(from) ?? -Infinity);
}

function isOurs(specifier: string): boolean {
  return /^(@everhold\/|everhold($|\/))/.test(specifier);
}

function isTest(file: string): boolean {
  return file.endsWith(".test.ts") || file.endsWith(".test-support.ts");
}

function resolved(file: string, specifier: string): string {
  return specifier.startsWith(".") ? join(dirname(file), specifier).replaceAll("\\", "/") : "";
}

function isInside(folder: string, file: string, specifier: string): boolean {
  return specifier.endsWith(".ts") && resolved(file, specifier).startsWith(`${folder}/`);
}
