/**
 * Everhold beside other people's software: unmodified Artemis clients, tools and brokers. Needs Java 17
 * and Maven, which fetches the rest from Maven Central. What is missing is an error, never a skip.
 *
 *   npm run interop                          every suite, one after the other
 *   npm run interop -- java-clients spring   these
 *   npm run interop -- --list                their names
 */
import { runSuites } from "./suites.mjs";

// A first run also waits for Maven's downloads, and a slow machine takes a few times as long.
await runSuites({ command: "interop", folder: "suites", fileTimeoutMs: 900_000 });
