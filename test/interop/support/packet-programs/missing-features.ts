import { packets } from "@everhold/wire";

import type { PacketProgram } from "../packet-comparison.ts";

/** What Artemis has and Everhold has not; each shows one row of the known differences. */
export const missingFeaturePrograms: readonly PacketProgram[] = [
  {
    name: "a session with XA transactions",
    build: (script) => {
      script.connect().session({ xa: true, autoCommitSends: false, autoCommitAcks: false });
    },
  },
  {
    name: "XA packets on a session without XA transactions",
    build: (script) => {
      const session = script.session();
      session.packet(packets.xaInDoubtXids, {});
      session.packet(packets.xaGetTimeout, {});
      session.query("q");
    },
  },
];
