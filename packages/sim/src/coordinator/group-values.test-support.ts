import {
  type GroupState,
  type KnownState,
  type MemberAddress,
  newGroupState,
  type Replica,
} from "@everhold/group";

/** The group of all tests. */
export const groupId = "orders";

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
