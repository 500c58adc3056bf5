import type { Log } from "@everhold/env";
import type { Member, Replica } from "@everhold/group";

/** Writes down what has changed of a member, so that a log reads as its story. */
export function tellStory(log: Log, before: Member, now: Member): void {
  if (before === now) return;
  tellRole(log, before, now);
  const { known } = now;
  if (known === null || before.known === known) return;
  const { state } = known;
  const names = namesOf(state.inSync);
  if (before.known === null || namesOf(before.known.state.inSync) !== names) {
    const short = state.inSync.length < state.minInSync;
    const fields = { group: now.groupId, epoch: state.epoch, inSync: names };
    if (!short) log.info("The in-sync set is", fields);
    else {
      log.warn("The in-sync set is below its minimum: nothing is committed", {
        ...fields,
        minInSync: state.minInSync,
      });
    }
  }
  if (before.known?.state.epoch !== state.epoch) {
    log.info("The group has a live", {
      group: now.groupId,
      epoch: state.epoch,
      live: state.live?.id ?? "nobody yet",
    });
  }
}

function tellRole(log: Log, before: Member, now: Member): void {
  const { role } = now;
  const fields = { group: now.groupId, member: now.self.id };
  if (role.kind === "backup" && before.role.kind === "backup") {
    const isAligned = role.following.kind === "aligned";
    if (isAligned === (before.role.following.kind === "aligned")) return;
    if (isAligned) log.info("This member follows its live", fields);
    else log.warn("This member has lost its live", fields);
    return;
  }
  if (role.kind === before.role.kind) return;
  switch (role.kind) {
    case "backup":
      return log.warn("This member is a backup again", fields);
    case "candidate":
      return log.info("This member stands for promotion", { ...fields, epoch: role.epoch });
    case "live":
      return log.info("This member leads", { ...fields, epoch: role.epoch });
    case "stopped":
      return log.error("This member has stopped", { ...fields, reason: role.reason });
  }
}

function namesOf(replicas: readonly Replica[]): string {
  return replicas
    .map(({ id }) => id)
    .toSorted()
    .join(" ");
}
