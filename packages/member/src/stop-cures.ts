import type { StopReason } from "@everhold/group";

/** What each reason for which a member stops means, and what to do about it. */
export const stopCures: Readonly<Record<StopReason, string>> = {
  "foreign-group":
    "the group's node, or its live, belongs to another group than this data folder: check the group's name and the data folder",
  "older-state":
    "the group's node is older than this journal, or than this member has seen it: ZooKeeper was restored from a backup, or is another ensemble; connect to the right one",
  "state-gone":
    "the group's node was deleted: restore ZooKeeper's data, or let the member with the newest journal found the group anew",
  "lacks-features":
    "the group is at a feature level that this program does not know: install a newer version",
  "too-far-behind":
    "the live does not keep any more what this member lacks, which is in sync and should lack nothing: do not wipe this data folder; compare the members' journals",
  "below-commit":
    "the live lacks what is known here to be committed: do not wipe this data folder; compare the members' journals",
  diverged:
    "this journal differs from the live's where they must be the same: keep a copy of the data folder, wipe it, and let it be filled by the group",
  "id-taken": "the live has the same member id: give each member its own",
  told: "its disk failed, or it was told to stop: see the lines before",
};
