import { administrationPrograms } from "./administration.ts";
import { connectionPrograms } from "./connections.ts";
import { consumingPrograms } from "./consuming.ts";
import { distributedPrograms } from "./distributed.ts";
import { queueKindPrograms } from "./queue-kinds.ts";
import { sendingPrograms } from "./sending.ts";
import { settlingPrograms } from "./settling.ts";
import { wildcardPrograms } from "./wildcards.ts";

/** Programs written by hand for brokers with their usual settings, by what they are about. */
export const writtenPrograms = {
  "addresses and queues": administrationPrograms,
  "connections and sessions": connectionPrograms,
  consuming: consumingPrograms,
  settling: settlingPrograms,
  sending: sendingPrograms,
  "queues of every kind": queueKindPrograms,
  "wildcard addresses": wildcardPrograms,
  "branches of distributed transactions": distributedPrograms,
} as const;

export { restrictedArtemis, restrictedEverhold, restrictedPrograms } from "./restricted.ts";
