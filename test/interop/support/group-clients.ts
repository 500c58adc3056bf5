import { describe, it } from "node:test";

import { JavaGroup } from "./java-group.ts";
import { javaCases, runJava, type JavaClient } from "./java.ts";

/** The cases of `GroupClients.java`, on groups whose live is killed and stopped again and again. */
export function groupClients(clients: readonly JavaClient[]): void {
  describe("Java clients of a group", { timeout: 900_000 }, () => {
    for (const client of clients) {
      it(`${client}, of three members, at all addresses`, async (test) => {
        await using group = await JavaGroup.start(3);
        const { onLine } = group;
        await javaCases(test, await runJava(client, "GroupClients", [group.url], { onLine }));
        await group.done();
      });

      it(`${client}, of two members, at the two that it knows`, async (test) => {
        await using group = await JavaGroup.start(2);
        const { onLine } = group;
        const args = [group.url, "pair=true", "only=three times"];
        await javaCases(test, await runJava(client, "GroupClients", args, { onLine }));
        await group.done();
      });
    }
  });
}
