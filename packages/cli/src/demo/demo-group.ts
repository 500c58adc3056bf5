import { randomBytes } from "node:crypto";
import { join } from "node:path";

import { compareData, type DataComparison } from "everhold";

import { freePorts } from "./free-ports.ts";
import { MemberProcess } from "./member-process.ts";

/** As short as ZooKeeper lets it be by default: a killed member comes back when its old session is over. */
const sessionTimeout = "4s";

/** What settles who leads. */
export type Settling =
  | { readonly kind: "zookeeper"; readonly servers: string }
  | { readonly kind: "folder" };

/** The members of the demo's group, as {@link DemoGroup.look} found them. */
export interface GroupView {
  /** Who lets clients in. */
  readonly live: string | undefined;
  /** Whether all others follow it and are in sync. */
  readonly isWhole: boolean;
  /** Whether all are at the same position of their journals: nothing is on its way to anybody. */
  readonly isLevel: boolean;
}

/**
 * A group on this machine: three members that ZooKeeper settles, with two of them in sync for each answer, or a pair that
 * a folder settles, in which one goes on alone.
 */
export class DemoGroup {
  readonly members: readonly MemberProcess[];
  /** Of its members' clients. */
  readonly url: string;

  private constructor(members: readonly MemberProcess[], url: string) {
    this.members = members;
    this.url = url;
  }

  /** Makes its members' configurations in `folder`; none runs. `onFailure` is told of a member that ends by itself. */
  static async make(
    folder: string,
    settling: Settling,
    onFailure: (error: Error) => void,
  ): Promise<DemoGroup> {
    const ids = settling.kind === "zookeeper" ? ["anna", "bert", "cleo"] : ["anna", "bert"];
    const ports = await freePorts(3 * ids.length);
    const nextPort = (): number => ports.pop() ?? 0;
    const secret = randomBytes(32).toString("hex");
    // Servers that last longer than a demo see many of them.
    const name = `demo-${randomBytes(4).toString("hex")}`;
    const urls: string[] = [];
    const members = ids.map((id, index) => {
      const url = `tcp://127.0.0.1:${nextPort()}`;
      urls.push(url);
      const group = {
        ...{ name, member: id, founds: index === 0, secret },
        links: { url: `tcp://127.0.0.1:${nextPort()}` },
        minInSync: ids.length - 1,
        ...(settling.kind === "zookeeper"
          ? { zookeeper: { servers: settling.servers, sessionTimeout } }
          : { folder: join(folder, "group") }),
      };
      const config = { acceptors: { core: { url } }, group };
      return new MemberProcess(id, join(folder, id), nextPort(), config, onFailure);
    });
    return new DemoGroup(members, `(${urls.join(",")})`);
  }

  start(): void {
    for (const member of this.members) member.start();
  }

  /** Asks all members what they are. */
  async look(): Promise<GroupView> {
    const told = await Promise.all(this.members.map((member) => member.status()));
    // Who was deposed may not know it yet.
    const [live] = told
      .flatMap((status) => (status?.role === "live" && status.isServing ? [status] : []))
      .toSorted((one, other) => other.epoch - one.epoch);
    const isWhole =
      live?.inSync.length === this.members.length && live.peers.length === this.members.length - 1;
    const isLevel = told.every((status) => status?.endPosition === live?.endPosition);
    return { live: live?.id, isWhole, isLevel };
  }

  /** @throws Error when no member is called so */
  member(id: string): MemberProcess {
    const member = this.members.find((each) => each.id === id);
    if (member === undefined) throw new Error(`no member is called ${id}`);
    return member;
  }

  /** Ends all of them in order, the live last: before, another one would lead, and write so. */
  async stop(live: string): Promise<void> {
    await Promise.all(this.members.filter(({ id }) => id !== live).map((each) => each.stop()));
    await this.member(live).stop();
  }

  /** Compares what its members, all of them stopped, have on their disks. */
  async compare(): Promise<DataComparison["verdict"]> {
    return (await compareData(this.members.map(({ dataFolder }) => dataFolder))).verdict;
  }
}
