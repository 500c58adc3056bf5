import { existsSync } from "node:fs";
import { dirname, isAbsolute, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import type { Endpoint } from "@everhold/env";

import { formatAcceptorUrl, isLoopbackHost } from "./acceptor-url.ts";
import { acceptorTls } from "./acceptor-tls.ts";
import { configError, describeFound } from "./config-error.ts";
import { environmentTree } from "./environment-tree.ts";
import { expandReferences, readConfigText, type Environment } from "./expand-references.ts";
import { groupOf, type ResolvedGroup } from "./group.ts";
import { isConfigMap, originOf, overlay, treeOf, type LocatedTree } from "./located-tree.ts";
import { parseConfigDocument } from "./parse-document.ts";
import { allowedKeysAt, type ConfigDocument } from "./schema.ts";
import { validateConfig } from "./validate-config.ts";

/** Where a configuration comes from, the weakest first. */
export interface ConfigSources {
  /** A file, or what a file would hold. Without it `everhold.yaml` or `.json` of `folder`, if any. */
  readonly config?: string | URL | object | undefined;
  /** Environment variables. */
  readonly environment: Environment;
  /** What command-line flags say, stronger than all else: pairs of a key such as `log.level`. */
  readonly flags?: readonly ConfigFlag[];
  /** What flags say about where the first acceptor listens. */
  readonly listen?: Partial<Endpoint>;
  /** The current folder. */
  readonly folder: string;
}

/** A value that a command-line flag gives to a key. */
export interface ConfigFlag {
  /** How messages call it: `--data`. */
  readonly flag: string;
  readonly path: readonly string[];
  readonly value: unknown;
}

/** A configuration that is valid and complete. */
export interface ResolvedConfig {
  readonly document: ConfigDocument;
  /** The data folder, absolute. */
  readonly dataFolder: string;
  readonly acceptors: readonly NamedAcceptor[];
  readonly usersFile: UsersFilePlace;
  /** What makes it one member of a group; undefined: it is alone. */
  readonly group: ResolvedGroup | undefined;
  /** The file that was read, absolute. */
  readonly file: string | undefined;
}

/** Where `everhold user` keeps users. */
export interface UsersFilePlace {
  /** The file, absolute. */
  readonly path: string;
  /** Whether the configuration names it, so that it must exist. */
  readonly isNamed: boolean;
}

/** A place to listen, and what the configuration calls it. */
export interface NamedAcceptor {
  readonly name: string;
  readonly endpoint: Endpoint;
}

const defaultFileNames = ["everhold.yaml", "everhold.yml", "everhold.json"];
const defaultUsersFile = "everhold-users.yaml";
const defaultAcceptor: NamedAcceptor = {
  name: "core",
  endpoint: { host: "127.0.0.1", port: 61_616, webSocket: {} },
};

/**
 * Reads the configuration: flag over environment over file over default.
 *
 * @throws EverholdError EVH_CONFIG naming file, line and column, what was found, what is allowed
 */
export function loadConfig(sources: ConfigSources): ResolvedConfig {
  return load(sources, true);
}

/**
 * Where the users of a broker with this configuration are kept. It may not be able to start yet, because it
 * has no users.
 *
 * @throws EverholdError EVH_CONFIG
 */
export function findUsersFile(sources: ConfigSources): UsersFilePlace {
  return load(sources, false).usersFile;
}

function load(sources: ConfigSources, isToStart: boolean): ResolvedConfig {
  const file = configFile(sources);
  let tree = baseTree(sources, file);
  const keysAt = (path: readonly string[]): readonly string[] => allowedKeysAt(path);
  tree = overlay(tree, environmentTree(sources.environment, sources.folder, keysAt));
  for (const { flag, path, value } of sources.flags ?? []) {
    tree = overlay(tree, treeOf(path, value, { label: flag, folder: sources.folder }));
  }
  tree = expandReferences(tree, sources.environment);
  const document = validateConfig(tree);
  const acceptors = acceptorsOf(tree, document, sources.listen ?? {});
  const usersFile = usersFileOf(
    tree,
    document,
    file === undefined ? sources.folder : dirname(file),
  );
  const resolved: ResolvedConfig = {
    document,
    dataFolder: dataFolderOf(tree, document, sources.folder),
    acceptors,
    usersFile,
    group: groupOf(tree, document, (acceptors[0] ?? defaultAcceptor).endpoint),
    file,
  };
  if (isToStart) refuseOpenDoor(tree, resolved, sources.listen?.host !== undefined);
  return resolved;
}

function configFile(sources: ConfigSources): string | undefined {
  const { config, folder } = sources;
  if (typeof config === "string") return resolve(folder, config);
  if (config instanceof URL) return fileURLToPath(config);
  if (config !== undefined) return undefined;
  return defaultFileNames.map((name) => resolve(folder, name)).find((name) => existsSync(name));
}

function baseTree(sources: ConfigSources, file: string | undefined): LocatedTree {
  if (file !== undefined) {
    const near = relative(sources.folder, file);
    const name = near.startsWith("..") || isAbsolute(near) ? file : near;
    const tree = parseConfigDocument({ text: readConfigText(file), name, folder: dirname(file) });
    // An empty file is an empty map.
    const value = tree.value ?? {};
    if (isConfigMap(value)) return { value, origins: tree.origins };
    throw configError(originOf(tree, [])?.label, `found ${describeFound(value)}, expected a map`);
  }
  const origin = { label: "the configuration given", folder: sources.folder };
  return treeOf([], sources.config ?? {}, origin);
}

function acceptorsOf(
  tree: LocatedTree,
  document: ConfigDocument,
  listen: Partial<Endpoint>,
): readonly NamedAcceptor[] {
  const named = Object.entries(document.acceptors ?? {}).map(
    ([name, { url, tls, webSocket }]): NamedAcceptor => {
      const { host, port, asksForTls } = url;
      const place = { host, port, ...webSocketUse(webSocket) };
      const origin = originOf(tree, ["acceptors", name, tls === undefined ? "url" : "tls"]);
      if (tls !== undefined) {
        const material = acceptorTls(tls, `acceptors.${name}.tls`, origin);
        return { name, endpoint: { ...place, tls: material } };
      }
      if (!asksForTls) return { name, endpoint: place };
      throw configError(
        origin?.label,
        `acceptors.${name}.url: found TLS without a certificate, expected acceptors.${name}.tls ` +
          `with cert and key, or pfx`,
      );
    },
  );
  const [first = defaultAcceptor, ...others] = named;
  return [{ name: first.name, endpoint: { ...first.endpoint, ...listen } }, ...others];
}

type WebSocketSettings = NonNullable<ConfigDocument["acceptors"]>[string]["webSocket"];

function webSocketUse(said: WebSocketSettings): Pick<Endpoint, "webSocket"> {
  if (said?.enabled === false) return {};
  return { webSocket: said?.origins === undefined ? {} : { origins: said.origins } };
}

function dataFolderOf(tree: LocatedTree, document: ConfigDocument, folder: string): string {
  if (document.data === undefined) return resolve(folder, "everhold-data");
  return resolve(originOf(tree, ["data"])?.folder ?? folder, document.data);
}

function usersFileOf(tree: LocatedTree, document: ConfigDocument, folder: string): UsersFilePlace {
  const name = document.security?.usersFile;
  if (name === undefined) return { path: resolve(folder, defaultUsersFile), isNamed: false };
  const base = originOf(tree, ["security", "usersFile"])?.folder ?? folder;
  return { path: resolve(base, name), isNamed: true };
}

/** Without users everybody is let in, so nobody but this machine may knock, unless somebody says so. */
function refuseOpenDoor(
  tree: LocatedTree,
  { document, acceptors, usersFile }: ResolvedConfig,
  isMovedByFlag: boolean,
): void {
  const { users, allowAnonymous } = document.security ?? {};
  if (allowAnonymous === true || Object.keys(users ?? {}).length > 0) return;
  if (usersFile.isNamed || existsSync(usersFile.path)) return;
  for (const [index, { name, endpoint }] of acceptors.entries()) {
    if (isLoopbackHost(endpoint.host)) continue;
    const isMoved = isMovedByFlag && index === 0;
    throw configError(
      isMoved ? undefined : originOf(tree, ["acceptors", name, "url"])?.label,
      `acceptor ${name} would let anybody on the network in: found ` +
        `${formatAcceptorUrl(endpoint)} and no users, expected a loopback address such as ` +
        `127.0.0.1, or users (everhold user add NAME), or security.allowAnonymous: true`,
    );
  }
}
