/**
 * Connections that break at every frame and brokers that die, in full. `npm test` and
 * `npm run interop -- failover` do a part of it. Needs Java 17 and Maven.
 *
 *   npm run failover                 everything, one after the other
 *   npm run failover -- artemis      a real pair of Artemis whose live broker is killed
 *   npm run failover -- --list       the others
 */
import { runSuites } from "./suites.mjs";

await runSuites({ command: "failover", folder: "failover", fileTimeoutMs: 3_600_000 });
