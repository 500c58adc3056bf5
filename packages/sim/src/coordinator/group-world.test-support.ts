import type { LogFields } from "@everhold/env";
import { ZooKeeperCoordinator } from "@everhold/coordinator";
import {
  type GroupState,
  type KnownState,
  type MemberAddress,
  newGroupState,
  type Replica,
} from "@everhold/group";
import type { ZooKeeper, ZooKeeperOptions } from "@everhold/zookeeper-core";
import { EnsembleWorld } from "../zookeeper/ensemble-world.test-support.ts";

const groupId = "orders";

/** Where the nodes of the group are. */
export const paths = {
  group: `/everhold/groups/${groupId}`,
  state: `/everhold/groups/${groupId}/state`,
  live: `/everhold/groups/${groupId}/live`,
  members: `/everhold/groups/${groupId}/members`,
} as const;

/** One member. */
export const anna: Replica = { id: "anna", incarnation: "a1" };
/** Another one. */
export const bert: Replica = { id: "bert", incarnation: "b1" };

/** A new group that both may lead. */
export function newGroup(): GroupState {
  return { ...newGroupState(groupId, anna, 1), inSync: [anna, bert] };
}

/** What a member asks for that wants to lead the next epoch. */
export function promotionOf(self: Replica, known: KnownState): KnownState {
  const { state } = known;
  return { ...known, state: { ...state, epoch: state.epoch + 1, live: self } };
}

/** What a live asks for; `mark` is in the state then. */
export function reconfigurationOf(known: KnownState, mark: number): KnownState {
  return { ...known, state: { ...known.state, epochStart: mark } };
}

/** Where a member says that it is. */
export function addressOf(replica: Replica): MemberAddress {
  return { replica, replication: `${replica.id}:6000`, clients: `${replica.id}:61616` };
}

/** One process: its client, its coordinator, and what it was told. */
export interface TestMember {
  readonly client: ZooKeeper;
  readonly coordinator: ZooKeeperCoordinator;
  readonly told: { changedCount: number; goneCount: number; members: string };
}

/** Members of one group, on ZooKeeper as the model has it. */
export class GroupWorld extends EnsembleWorld {
  readonly logged: string[] = [];

  async member(options: ZooKeeperOptions = {}, hosts?: readonly string[]): Promise<TestMember> {
    const client = await this.client({ sessionTimeout: 8000, ...options }, hosts);
    const told = { changedCount: 0, goneCount: 0, members: "" };
    const log = (message: string, _fields?: LogFields): void => void this.logged.push(message);
    const coordinator = new ZooKeeperCoordinator({
      ports: { ...this.world.ports, log: { debug: log, info: log, warn: log, error: log } },
      client,
      groupId,
      listener: {
        onStateMayHaveChanged: () => void (told.changedCount += 1),
        onLiveGone: () => void (told.goneCount += 1),
        onMembers: (members) => {
          told.members = members.map(({ replica, clients }) => `${replica.id} ${clients}`).join();
        },
      },
    });
    return { client, coordinator, told };
  }

  /** What is known of the group's node. */
  async known({ coordinator }: TestMember): Promise<KnownState> {
    const read = await this.within(coordinator.read());
    if (read.kind !== "state") throw new Error(`read: ${read.kind}`);
    return read.known;
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
