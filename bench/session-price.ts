import { runJava } from "#interop/java";
import { succeed } from "#interop/run-tool";

import { compare, type Contestant } from "./comparison.ts";
import { memberIds, startGroup } from "./group.ts";
import { printComparison } from "./print-comparison.ts";
import type { BesideOptions } from "./with-contenders.ts";

/** What is compared, the yardstick first, by the names of `SessionPrice.java`. */
const comparisons = [
  {
    scenario: "ten durable sends of one client",
    ways: ["one transaction", "each stored on all members, all under way at once"],
  },
  {
    scenario: "from a durable send to its consumer",
    ways: ["delivered when it is on all members", "delivered after one more wait for them"],
  },
] as const;

/**
 * What a Java client's sends and receptions take on a group of three, and what they would take if its sessions outlived
 * their live: each send stored by itself, and each delivery on all members before it goes out.
 */
export async function measureSessionPrice({ rounds, json }: BesideOptions): Promise<void> {
  const group = await startGroup(memberIds.length);
  try {
    const url = `(${group.urls.join(",")})`;
    const result = await runJava("jakarta-2.56", "SessionPrice", [url, String(rounds)]);
    succeed("SessionPrice", result);
    for (const { scenario, ways } of comparisons) {
      const contestants = ways.map((name): Contestant => {
        const found = result.lines.filter(({ way }) => way === name);
        return {
          name,
          measure: () => Promise.resolve({ p50: Number(found.shift()?.["micros"]) / 1_000 }),
        };
      });
      printComparison(await compare(scenario, rounds, contestants), json);
    }
  } finally {
    await group.end();
  }
}
