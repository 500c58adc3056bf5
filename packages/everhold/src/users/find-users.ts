import type { Environment } from "../config/expand-references.ts";
import type { UsersFile } from "./edit-users.ts";

export type { UsersFile } from "./edit-users.ts";

/** Which broker's users are meant. */
export interface UsersFileOptions {
  /** The configuration; default `everhold.yaml` or `everhold.json` of the folder, if there is one. */
  readonly config?: string | URL | object | undefined;
  /** Where `${NAME}` and `EVERHOLD__…` come from. Default the environment of this process. */
  readonly environment?: Environment;
  /** What relative paths are relative to. Default the current folder. */
  readonly folder?: string;
}

/**
 * The file of users that a broker with this configuration reads, to look at and to change. It need not exist
 * yet: the first user makes it. A broker that runs notices changes within a few seconds.
 *
 * @throws EverholdError EVH_CONFIG
 * @example
 * const users = await usersFile();
 * await users.add("ann", password);
 */
export async function usersFile(options: UsersFileOptions = {}): Promise<UsersFile> {
  // A program that only connects should not pay for loading the configuration's schema.
  const [{ findUsersFile }, edit] = await Promise.all([
    import("../config/load-config.ts"),
    import("./edit-users.ts"),
  ]);
  const { path } = findUsersFile({
    config: options.config,
    environment: options.environment ?? process.env,
    folder: options.folder ?? process.cwd(),
  });
  return new edit.UsersFile(path);
}
