import { setDiskTrouble, type DiskTrouble } from "#group/disk-control.js";
import type { MemberProcess } from "#group/group-processes.js";
import { until } from "#group/until.js";

import type { BreakableGroup } from "./breakable-group.ts";
import { isOf, wordsOf, wordsTo, type MemberLink } from "./member-links.ts";

/** On which a row is played. */
export interface Stage {
  readonly group: BreakableGroup;
  readonly live: MemberProcess;
  readonly backup: MemberProcess;
  /** The other backup. */
  readonly other: MemberProcess;
}

/** What happens to a group of three, and how it ends. */
export interface Row {
  readonly what: string;
  /** Who is live at the end of it. */
  readonly leads: "the same" | "another" | "any";
  /**
   * When it is over. Default: when all that was sent is answered. Where clients are not told that the live is gone, when
   * another one serves; where they reach nobody, after its time.
   */
  readonly over?: "answered" | "another serves" | "time";
  /** How long it lasts at least, in ms, with sends all the time. Default: 0. */
  readonly lastsMs?: number;
  /** What some member logs meanwhile. */
  readonly tells?: RegExp;
  /** Of each message that is sent meanwhile, at least. Default: a few. */
  readonly bytes?: number;
  readonly begin: (stage: Stage) => Promise<void> | void;
  readonly end: (stage: Stage) => Promise<void> | void;
}

/** Longer than a broken connection takes to be made anew, in ms. */
const whileMs = 2_000;

/** Longer than a session of ZooKeeper lives of which nothing is heard, in ms. */
const sessionsMs = 3_000;

type Who = "live" | "backup";

const directions = ["both", "requests", "replies"] as const;

/** All of them, in an order in which each finds a whole group. */
export function rowsOf(): readonly Row[] {
  return [...processRows, ...memberRows(), ...keeperRows(), ...clientRows(), ...diskRows()];
}

const processRows: readonly Row[] = [
  {
    what: "a backup is killed",
    leads: "the same",
    begin: ({ group, backup }) => group.kill(backup),
    end: ({ group, backup }) => group.restart(backup),
  },
  {
    what: "a backup stands still",
    leads: "the same",
    begin: ({ backup }) => backup.signal("SIGSTOP"),
    end: ({ backup }) => backup.signal("SIGCONT"),
  },
  {
    what: "a backup's machine loses its power",
    leads: "the same",
    begin: ({ group, backup }) => group.powerOff(backup),
    end: ({ group, backup }) => {
      group.rejoin("lost");
      backup.start();
    },
  },
  {
    what: "the live is killed",
    leads: "another",
    begin: ({ group, live }) => group.kill(live),
    end: ({ group, live }) => group.restart(live),
  },
  {
    what: "the live stands still",
    leads: "another",
    over: "another serves",
    begin: ({ live }) => live.signal("SIGSTOP"),
    end: ({ live }) => live.signal("SIGCONT"),
  },
  {
    what: "the live's machine loses its power",
    leads: "another",
    over: "another serves",
    begin: ({ group, live }) => group.powerOff(live),
    end({ group, live }) {
      group.rejoin("lost");
      live.start();
    },
  },
  {
    what: "the live and a backup are killed",
    leads: "any",
    over: "time",
    lastsMs: whileMs,
    async begin({ group, live, backup }) {
      await Promise.all([group.kill(live), group.kill(backup)]);
    },
    async end({ group, live, backup }) {
      await group.restart(backup);
      await group.restart(live);
    },
  },
];

/** Members and members. */
function memberRows(): readonly Row[] {
  const isPair = ({ live, backup }: Stage, link: MemberLink): boolean =>
    isOf(link, live.id) && isOf(link, backup.id);
  const ofLive = ({ live }: Stage, link: MemberLink): boolean =>
    isOf(link, live.id) && link.to !== undefined;
  const rejoin = ({ group }: Stage): void => group.rejoin("lost");
  return [
    {
      what: "nothing passes between the live and a backup",
      leads: "any",
      begin: (stage) => stage.group.freeze((link) => (isPair(stage, link) ? "both" : undefined)),
      end: rejoin,
    },
    {
      what: "a backup hears nothing of the live",
      leads: "any",
      begin: (stage) =>
        stage.group.freeze((link) =>
          isPair(stage, link) ? wordsOf(link, stage.live.id) : undefined,
        ),
      end: rejoin,
    },
    {
      what: "the live hears nothing of a backup",
      leads: "any",
      begin: (stage) =>
        stage.group.freeze((link) =>
          isPair(stage, link) ? wordsTo(link, stage.live.id) : undefined,
        ),
      end: rejoin,
    },
    {
      what: "nothing passes between two backups",
      leads: "the same",
      lastsMs: whileMs,
      begin: ({ group, backup, other }) =>
        group.freeze((link) =>
          isOf(link, backup.id) && isOf(link, other.id) ? "both" : undefined,
        ),
      end: rejoin,
    },
    {
      what: "nothing passes between the live and both backups",
      leads: "any",
      begin: (stage) => stage.group.freeze((link) => (ofLive(stage, link) ? "both" : undefined)),
      end: rejoin,
    },
    {
      what: "no backup hears anything of the live",
      leads: "any",
      begin: (stage) =>
        stage.group.freeze((link) =>
          ofLive(stage, link) ? wordsOf(link, stage.live.id) : undefined,
        ),
      end: rejoin,
    },
    {
      what: "W5 the live hears nothing of any backup",
      leads: "any",
      begin: (stage) =>
        stage.group.freeze((link) =>
          ofLive(stage, link) ? wordsTo(link, stage.live.id) : undefined,
        ),
      end: rejoin,
    },
    {
      what: "the live's links break",
      leads: "any",
      begin: (stage) => stage.group.cut((link) => ofLive(stage, link)),
      end: () => undefined,
    },
    {
      what: "on the live's links bytes come twice",
      leads: "any",
      begin: (stage) => stage.group.repeat((link) => ofLive(stage, link)),
      end: () => undefined,
    },
    {
      what: "on the live's links all comes 100 ms late",
      leads: "the same",
      begin: (stage) => stage.group.delay(100, (link) => ofLive(stage, link)),
      end: ({ group }) => group.rejoin("late"),
    },
    {
      what: "the live's words come late, when another one serves",
      leads: "another",
      over: "another serves",
      begin: (stage) =>
        stage.group.freeze((link) => (isOf(link, stage.live.id) ? "both" : undefined)),
      end: ({ group }) => group.rejoin("late"),
    },
  ];
}

/** Members and ZooKeeper, and both at once. */
function keeperRows(): readonly Row[] {
  const isKeeper = ({ from, to }: MemberLink, id: string): boolean =>
    from === id && to === undefined;
  const rows = (["live", "backup"] as const).flatMap((who: Who) =>
    directions.map((direction): Row => {
      const about = who === "live" ? "the live" : "a backup";
      return {
        what: {
          both: `nothing passes between ${about} and ZooKeeper`,
          requests: `ZooKeeper hears nothing of ${about}`,
          replies: `${about} hears nothing of ZooKeeper`,
        }[direction],
        leads: "the same",
        lastsMs: sessionsMs,
        begin: (stage) =>
          stage.group.freeze((link) => (isKeeper(link, stage[who].id) ? direction : undefined)),
        end: ({ group }) => group.rejoin("lost"),
      };
    }),
  );
  return [
    ...rows,
    {
      what: "the live is cut off from ZooKeeper and from the others, not from clients",
      leads: "another",
      over: "another serves",
      begin({ group, live }) {
        group.freeze((link) => (isOf(link, live.id) ? "both" : undefined));
        group.cut((link) => isOf(link, live.id));
      },
      end: ({ group }) => group.rejoin("lost"),
    },
    {
      what: "nobody reaches ZooKeeper",
      leads: "the same",
      lastsMs: sessionsMs,
      begin: ({ group }) => group.freeze(({ to }) => (to === undefined ? "both" : undefined)),
      end: ({ group }) => group.rejoin("lost"),
    },
  ];
}

/** Clients and the live. */
function clientRows(): readonly Row[] {
  const whats = {
    both: "nothing passes between clients and the live",
    requests: "the live hears nothing of clients",
    replies: "clients hear nothing of the live",
  };
  return directions.flatMap((direction) =>
    (["late", "lost"] as const).map((fate): Row => ({
      what: `${whats[direction]} for a while, and what was said comes ${fate === "late" ? "late" : "never"}`,
      leads: "the same",
      over: "time",
      lastsMs: whileMs,
      begin: ({ group, live }) => group.freezeDoor(live, direction),
      end: ({ group }) => group.rejoin(fate),
    })),
  );
}

/** How much longer a disk hangs than is waited for it, in ms. */
const hangsMs = 7_000;

/** Disks. Where one is full messages are so large that new files are wanted. */
function diskRows(): readonly Row[] {
  const trouble =
    (who: Who, found: DiskTrouble | undefined) =>
    (stage: Stage): void =>
      setDiskTrouble(stage[who].dataFolder, found);
  /** Who cannot write any more ends by itself, and its disk is replaced by one with the same on it. */
  const replaced = async (stage: Stage, who: Who): Promise<void> => {
    const { group } = stage;
    const member = stage[who];
    await until(
      `${member.id} has ended`,
      () => !member.isRunning,
      () => group.processes.story,
    );
    await member.end("SIGKILL");
    setDiskTrouble(member.dataFolder, undefined);
    member.start();
  };
  return [
    {
      what: "a backup's disk is slow",
      leads: "the same",
      lastsMs: whileMs,
      begin: trouble("backup", { kind: "slow", delayMs: 300 }),
      end: trouble("backup", undefined),
    },
    {
      what: "a backup's disk is full",
      leads: "the same",
      bytes: 400_000,
      lastsMs: whileMs,
      begin: trouble("backup", { kind: "full" }),
      end: trouble("backup", undefined),
    },
    {
      what: "a backup's disk fails",
      leads: "the same",
      lastsMs: whileMs,
      begin: trouble("backup", { kind: "failing" }),
      end: (stage) => replaced(stage, "backup"),
    },
    {
      what: "a backup's disk hangs",
      leads: "the same",
      lastsMs: hangsMs,
      begin: trouble("backup", { kind: "hanging" }),
      end: trouble("backup", undefined),
    },
    {
      what: "the live's disk is slow",
      leads: "any",
      lastsMs: whileMs,
      begin: trouble("live", { kind: "slow", delayMs: 100 }),
      end: trouble("live", undefined),
    },
    {
      what: "the live's disk hangs",
      leads: "another",
      lastsMs: hangsMs,
      tells: /This live's disk does not answer: it ends, so that another one leads/,
      begin: trouble("live", { kind: "hanging" }),
      end: (stage) => replaced(stage, "live"),
    },
    {
      what: "the live's disk fails",
      leads: "another",
      lastsMs: whileMs,
      begin: trouble("live", { kind: "failing" }),
      end: (stage) => replaced(stage, "live"),
    },
  ];
}
