import type { LogFields } from "@everhold/env";
import { ZooKeeperCoordinator } from "@everhold/coordinator";
import type { KnownState } from "@everhold/group";
import type { ZooKeeper, ZooKeeperOptions } from "@everhold/zookeeper-core";
import { EnsembleWorld } from "../zookeeper/ensemble-world.test-support.ts";
import {
  type CaseMember,
  type CaseWorld,
  knownTo,
  newTold,
} from "./coordinator-cases.test-support.ts";
import { groupId } from "./group-values.test-support.ts";

/** Where the nodes of the group are. */
export const paths = {
  group: `/everhold/groups/${groupId}`,
  state: `/everhold/groups/${groupId}/state`,
  live: `/everhold/groups/${groupId}/live`,
  members: `/everhold/groups/${groupId}/members`,
} as const;

/** One process: its client, its coordinator, and what it was told. */
export interface TestMember extends CaseMember {
  readonly client: ZooKeeper;
}

/** Members of one group, on ZooKeeper as the model has it. */
export class GroupWorld extends EnsembleWorld implements CaseWorld<TestMember> {
  readonly logged: string[] = [];

  async member(options: ZooKeeperOptions = {}, hosts?: readonly string[]): Promise<TestMember> {
    const client = await this.client({ sessionTimeout: 8000, ...options }, hosts);
    const { told, listener } = newTold();
    const log = (message: string, _fields?: LogFields): void => void this.logged.push(message);
    const coordinator = new ZooKeeperCoordinator({
      ports: { ...this.world.ports, log: { debug: log, info: log, warn: log, error: log } },
      client,
      ...{ groupId, listener },
    });
    return { client, coordinator, told };
  }

  /** What is known of the group's node. */
  known(member: TestMember): Promise<KnownState> {
    return knownTo(this, member);
  }

  async isLive({ client }: TestMember): Promise<boolean> {
    return this.liveOwner === client.sessionId;
  }

  async remove({ client }: TestMember): Promise<void> {
    const { children } = await client.getChildren(paths.state);
    for (const name of children) await client.delete(`${paths.state}/${name}`);
    await client.delete(paths.state);
  }

  /** The session of the `live` node; `undefined` where there is none. */
  get liveOwner(): bigint | undefined {
    return this.ensemble.node(paths.live)?.stat.ephemeralOwner;
  }

  /** Ends the session of a client, which notices. */
  async expire({ client }: TestMember): Promise<void> {
    const { epoch } = client;
    this.ensemble.endSession(client.sessionId);
    await this.until(
      "the next session",
      () => client.epoch > epoch && client.state === "connected",
    );
  }

  async end(...members: readonly TestMember[]): Promise<void> {
    for (const { coordinator } of members) await this.within(coordinator.close());
    await this.stop(...members.map(({ client }) => client));
  }
}
