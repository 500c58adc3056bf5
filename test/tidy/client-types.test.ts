import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { root } from "./repository.ts";

/** What is for those who bind the client to a world, and not for applications. */
const forAdapters: ReadonlySet<string> = new Set([
  ...["Inflater", "ParsedUrl", "defaultPort", "formatEndpoint", "parseUrl"],
]);
/** What a page has no use for: it opens WebSockets, to a place that it has to name. */
const notInPages: ReadonlySet<string> = new Set(["TlsOptions", "defaultUrl"]);

it("who imports everhold, or its client for pages, gets all names of the client", () => {
  const client = exportsOf("client").filter((name) => !forAdapters.has(name));
  const everhold = new Set(exportsOf("everhold"));
  const browser = new Set(exportsOf("browser"));
  assert.deepEqual(
    client.filter((name) => !everhold.has(name)),
    [],
  );
  assert.deepEqual(
    client.filter((name) => !browser.has(name) && !notInPages.has(name)),
    [],
  );
});

/** The parts of the ZooKeeper client that are for applications. */
const zooKeeperParts = /^\.\/(?:api|lease|managed)\/|^\.\/(?:errors|options)\.ts$/;
/** What is for those who stand on the client. */
const forRecipes: ReadonlySet<string> = new Set([
  ...["refusedError", "RequestSubject", "leaseLimits", "managedLimits"],
]);

it("who imports zookeeper gets all names that its calls speak of", () => {
  const core = exportsOf("zookeeper-core", zooKeeperParts).filter((name) => !forRecipes.has(name));
  const zookeeper = new Set(exportsOf("zookeeper"));
  assert.ok(core.length > 30);
  assert.deepEqual(
    core.filter((name) => !zookeeper.has(name)),
    [],
  );
});

/** What a package's index gives, or what it has from some files. */
function exportsOf(folder: string, from = /^/): string[] {
  const source = readFileSync(join(root, "packages", folder, "src/index.ts"), "utf8");
  const lists = [...source.matchAll(/^export (?:type )?\{([^}]*)\}(?: from "([^"]*)")?/gm)];
  return lists
    .filter(([, , file = ""]) => from.test(file))
    .flatMap(([, list]) => (list ?? "").split(","))
    .map((item) =>
      item
        .trim()
        .replace(/^type /, "")
        .replace(/^.* as /, ""),
    )
    .filter((name) => name !== "");
}
