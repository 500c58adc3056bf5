import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { isObject, packages, readObject, root } from "./repository.ts";

describe("manifests", () => {
  it("every package agrees with the root on version, license and Node", () => {
    const { version, license, engines } = readObject("package.json");
    for (const { folder, manifest } of packages()) {
      assert.deepEqual(
        {
          version: manifest["version"],
          license: manifest["license"],
          engines: manifest["engines"],
        },
        { version, license, engines },
        folder,
      );
      assert.equal(manifest["type"], "module", folder);
    }
  });

  it("every dependency is pinned to one version", () => {
    const manifests = [readObject("package.json"), ...packages().map((one) => one.manifest)];
    const loose = manifests.flatMap((manifest) =>
      ["dependencies", "devDependencies"].flatMap((kind) => {
        const entries = manifest[kind];
        return isObject(entries) ? Object.entries(entries) : [];
      }),
    );
    assert.deepEqual(
      loose.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(String(version))),
      [],
    );
  });

  it("packages below layer 5 depend on nobody else's code, but for WebSockets", () => {
    const allowed = new Set(["@everhold/node → ws"]);
    const wrong = packages()
      .filter(({ name }) => name !== "everhold" && name !== "@everhold/cli")
      .flatMap(({ name, dependencies }) =>
        dependencies
          .filter((other) => !other.startsWith("@everhold/"))
          .map((other) => `${name} → ${other}`),
      )
      .filter((dependency) => !allowed.has(dependency));
    assert.deepEqual(wrong, []);
  });

  it("every package brings its compiled code and its sources along when it is packed, and no tests", () => {
    const files = ["dist", "src", "!**/*.test.*", "!**/*.test-support.*", "!**/*.tsbuildinfo"];
    for (const { folder, manifest } of packages()) {
      const bin = manifest["bin"] === undefined ? [] : ["bin"];
      assert.deepEqual(manifest["files"], [...bin, ...files], folder);
    }
  });

  it("every package has a README and runs its tests through all.test.ts", () => {
    const missing = packages()
      .flatMap(({ folder }) => [`${folder}/README.md`, `${folder}/src/all.test.ts`])
      .filter((file) => !existsSync(join(root, file)));
    assert.deepEqual(missing, []);
  });
});
