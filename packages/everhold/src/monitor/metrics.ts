import type { MonitorSource } from "./monitor-source.ts";

/** Queues that are told of one by one; the first by name. More would cost whoever reads them more than they tell. */
const queuesMax = 1000;

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

/** What a broker is doing, in the text format of Prometheus. */
export function metricsText(source: MonitorSource, version: string): string {
  const { member } = source;
  const queues = source.queues();
  const lines: string[] = [];
  const add = (name: string, help: string, samples: readonly Sample[], type = "gauge"): void => {
    lines.push(`# HELP everhold_${name} ${help}`, `# TYPE everhold_${name} ${type}`);
    for (const [labels, value] of samples) lines.push(`everhold_${name}${textOf(labels)} ${value}`);
  };
  const one = (value: number): readonly Sample[] => [[{}, value]];
  add("build_info", "The program, by its version.", [[{ version }, 1]]);
  add("up", "Always 1.", one(1));
  add("live", "Whether clients are let in.", one(Number(source.isServing)));
  add("connections", "Open connections of clients.", one(source.connectionCount));
  add("queues", "Queues.", one(queues.length));
  const shown = queues.slice(0, queuesMax);
  const each = (value: (queue: (typeof shown)[number]) => number): Sample[] =>
    shown.map((queue) => [{ address: queue.address, queue: queue.name }, value(queue)]);
  add(
    "queue_messages",
    "Messages in a queue, those in flight included.",
    each(({ messageCount }) => messageCount),
  );
  add(
    "queue_delivering",
    "Messages that a consumer holds and has not settled.",
    each(({ inFlightCount }) => inFlightCount),
  );
  add(
    "queue_consumers",
    "Consumers of a queue.",
    each(({ consumerCount }) => consumerCount),
  );
  add(
    "queue_bytes",
    "Bytes of a queue's messages.",
    each(({ bytes }) => bytes),
  );
  if (source.health !== undefined) {
    const { checkedBytes, roundCount, damagedCount, mendedCount } = source.health;
    const count = (name: string, help: string, value: number): void =>
      add(`journal_${name}_total`, help, one(value), "counter");
    count(
      "scrubbed_bytes",
      "Bytes of the journal that were read again to find damage.",
      checkedBytes,
    );
    count("scrub_rounds", "How often all of it was.", roundCount);
    count("damaged_ranges", "Ranges of the journal that the disk had damaged.", damagedCount);
    count("mended_ranges", "Those mended with what another member has.", mendedCount);
  }
  if (member !== undefined) {
    const { status, group } = member;
    const { id, role, epoch, inSync, peers, fill } = status;
    add("member_info", "The member, its group and its role.", [[{ group, member: id, role }, 1]]);
    add("group_epoch", "The group's epoch: it rises with every failover.", one(epoch));
    add(
      "group_failovers_total",
      "How often another reign began since this process has known the group.",
      one(status.failoverCount),
      "counter",
    );
    add(
      "replication_in_sync",
      "Members that may take over, the live included.",
      one(inSync.length),
    );
    add("replication_member_in_sync", "Whether this member may take over.", [
      [{ member: id }, Number(inSync.includes(id))],
    ]);
    add("journal_end_bytes", "Where this member's journal ends.", one(status.endPosition));
    add("journal_durable_bytes", "Up to where it is on its disk.", one(status.durablePosition));
    add("journal_commit_bytes", "Up to where it is committed.", one(status.commitPosition));
    add(
      "replication_lag_bytes",
      "What a backup has not confirmed, as the live sees it.",
      peers.map((peer) => [{ member: peer.id }, peer.lagBytes]),
    );
    add(
      "replication_lag_seconds",
      "How long ago a backup had everything that there was, as the live sees it.",
      peers.map((peer) => [{ member: peer.id }, peer.lagMs / 1000]),
    );
    if (fill !== undefined) {
      add("fill_done_bytes", "Bytes of the live's files that are here.", one(fill.doneBytes));
      add("fill_total_bytes", "Bytes of the live's files.", one(fill.totalBytes));
    }
  }
  return `${lines.join("\n")}\n`;
}

function textOf(labels: Labels): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
