import { existsSync } from "node:fs";

import type { Log } from "@everhold/env";
import {
  NodeLogins,
  parsePasswordHash,
  watchFiles,
  type LoginRules,
  type Secret,
} from "@everhold/node";

import { configError } from "../config/config-error.ts";
import type { ResolvedConfig } from "../config/load-config.ts";
import { isReadByOthers, readUsersFile } from "./users-file.ts";

/** Who may log in to a broker, and the end of looking whether that has changed. */
export interface BrokerLogins {
  readonly logins: NodeLogins;
  close(): void;
}

/**
 * The users of the configuration and of its file of users, which is read again whenever it changes. A file
 * that cannot be read any more, or is gone, changes nothing: nobody is let in, or locked out, by a mistake.
 *
 * @throws EverholdError EVH_CONFIG
 */
export function openLogins(config: ResolvedConfig, log: Log): BrokerLogins {
  const { path, isNamed } = config.usersFile;
  // Before the file is read: what changes in between is noticed.
  const stopWatching = watchFiles([path], () => readAgain());
  const logins = openNow();
  warnOfReaders(path, log);
  return { logins, close: stopWatching };

  function openNow(): NodeLogins {
    try {
      return new NodeLogins(rulesOf(config, isNamed || existsSync(path)), log);
    } catch (error) {
      stopWatching();
      throw error;
    }
  }

  function readAgain(): void {
    try {
      // Once there were users, a file that has gone does not open the door.
      const rules = rulesOf(config, isNamed || logins.isRequired || existsSync(path));
      logins.replace(rules);
      warnOfReaders(path, log);
      log.info("The users have changed", { file: path, users: rules.users?.size ?? 0 });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.error("The users cannot be read, so those from before still hold", {
        file: path,
        reason,
      });
    }
  }
}

function rulesOf({ document, usersFile }: ResolvedConfig, readsFile: boolean): LoginRules {
  const { users: named, allowAnonymous = false } = document.security ?? {};
  const users = new Map<string, Secret>();
  for (const [name, { password }] of Object.entries(named ?? {})) {
    users.set(name, parsePasswordHash(password) ?? { password });
  }
  const isAsked = readsFile || users.size > 0;
  if (readsFile) {
    for (const [name, hash] of readUsersFile(usersFile.path)) {
      if (users.has(name)) {
        throw configError(
          usersFile.path,
          `the user ${name} is also under security.users of the configuration; remove one of them`,
        );
      }
      users.set(name, hash);
    }
  }
  return { users: isAsked ? users : undefined, allowAnonymous };
}

function warnOfReaders(path: string, log: Log): void {
  if (!existsSync(path) || !isReadByOthers(path)) return;
  log.warn("Others can read the file of users", { file: path, cure: `chmod 600 ${path}` });
}
