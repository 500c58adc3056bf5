import type { Command } from "commander";
import { usersFile, type UsersFile } from "everhold";

import type { CommandContext } from "../command-context.ts";
import { readPassword } from "../terminal/read-password.ts";
import { writeJson } from "../terminal/terminal.ts";

interface UserFlags {
  readonly config?: string;
}

/** `everhold user`: who may log in to a broker of this machine. It changes the file that the broker reads. */
export function addUserCommand(program: Command, context: CommandContext): void {
  const { terminal } = context;
  const user = program
    .command("user")
    .description("who may log in to a broker of this machine; it notices changes by itself");
  const add = (name: string, description: string): Command =>
    user
      .command(name)
      .description(description)
      .option("--config <file>", "the broker's configuration; default as for `run`");
  add("add <name>", "add a user; the password is asked for, or comes on standard input").action(
    async (name: string, flags: UserFlags) => {
      const file = await fileFor(context, flags);
      await file.add(name, await readPassword(terminal, `Password of ${name}`));
      await report(context, file, "added", name);
    },
  );
  add("passwd <name>", "give a user another password, in the same ways").action(
    async (name: string, flags: UserFlags) => {
      const file = await fileFor(context, flags);
      await file.setPassword(name, await readPassword(terminal, `New password of ${name}`));
      await report(context, file, "changed", name);
    },
  );
  add("rm <name>", "remove a user; connections that are open stay open").action(
    async (name: string, flags: UserFlags) => {
      const file = await fileFor(context, flags);
      file.remove(name);
      await report(context, file, "removed", name);
    },
  );
  add("ls", "list the users").action(async (flags: UserFlags) => {
    for (const name of (await fileFor(context, flags)).names()) {
      await (terminal.json ? writeJson(terminal, { user: name }) : terminal.write(`${name}\n`));
    }
  });
}

function fileFor({ environment }: CommandContext, { config }: UserFlags): Promise<UsersFile> {
  return usersFile({ config, environment });
}

async function report(
  { terminal }: CommandContext,
  file: UsersFile,
  event: "added" | "changed" | "removed",
  user: string,
): Promise<void> {
  if (terminal.json) await writeJson(terminal, { event, user, file: file.path });
  else await terminal.write(`${event} ${user} in ${file.path}\n`);
}
