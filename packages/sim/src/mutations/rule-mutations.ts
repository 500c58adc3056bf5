import type { Ports } from "@everhold/env";
import type { RulesSetup } from "../rules/program.ts";
import { editingNetwork, type Editor } from "./editing-network.ts";
import {
  expirationAt,
  filterEditor,
  headerEditor,
  orderEditor,
  priorityAt,
  propertyEditor,
} from "./editors.ts";
import { forgingPen } from "./forging-pen.ts";

/** Mistakes in the rules of delivery. Each is made by lying to the broker, so no production code knows of them. */
export const ruleMutations = [
  "deliver-too-early",
  "deliver-expired",
  "ignore-priority",
  "ignore-filters",
  "ignore-duplicates",
  "lose-order-at-rollback",
  "one-attempt-more",
  "redeliver-at-once",
  "split-groups",
  "keep-old-values",
  "keep-one-too-many",
  "drop-when-full",
  "forget-attempts-at-recovery",
  "forget-duplicates-at-recovery",
  "forget-deliveries-at-recovery",
  "bury-twice",
] as const;

/** One of {@link ruleMutations}. */
export type RuleMutation = (typeof ruleMutations)[number];

/** Types of records, `broker/src/state/records.ts`. */
const messageRecord = 21;
const dispatchLimitRecord = 23;
const deliveryCountRecord = 24;
const redeliverLaterRecord = 46;

/** What the broker is told of its setup, if that is where the mistake is. */
export function mutateSetup(setup: RulesSetup, mutation: RuleMutation | undefined): RulesSetup {
  switch (mutation) {
    case "one-attempt-more":
      if (setup.maxDeliveryAttempts < 0) return setup;
      return { ...setup, maxDeliveryAttempts: setup.maxDeliveryAttempts + 1 };
    case "redeliver-at-once":
      return { ...setup, redelivery: { ...setup.redelivery, delayMs: 0 } };
    case "drop-when-full":
      return { ...setup, fullness: { ...setup.fullness, policy: "drop" } };
    case "keep-one-too-many": {
      const queues = setup.queues.map((queue) =>
        queue.ringSize < 0 ? queue : { ...queue, ringSize: queue.ringSize + 1 },
      );
      return { ...setup, queues };
    }
    default:
      return setup;
  }
}

/** The ports of a broker that has the mistake. */
export function mutateRules(ports: Ports, mutation: RuleMutation | undefined): Ports {
  const edited = (newEditor: () => Editor): Ports => ({
    ...ports,
    network: editingNetwork(ports.network, newEditor),
  });
  switch (mutation) {
    case undefined:
    case "one-attempt-more":
    case "redeliver-at-once":
    case "keep-one-too-many":
    case "drop-when-full":
    case "bury-twice":
      return ports;
    case "split-groups":
      return edited(() => propertyEditor("_AMQ_GROUP_ID"));
    case "keep-old-values":
      return edited(() => propertyEditor("key"));
    case "deliver-too-early":
      return { ...ports, wallClock: { nowMs: () => ports.wallClock.nowMs() + 1000 } };
    case "deliver-expired":
      return edited(() => headerEditor((view, at) => view.setBigInt64(at + expirationAt, 0n)));
    case "ignore-priority":
      return edited(() => headerEditor((view, at) => view.setInt8(at + priorityAt, 4)));
    case "ignore-filters":
      return edited(filterEditor);
    case "ignore-duplicates":
      return edited(() => propertyEditor("_AMQ_DUPL_ID"));
    case "lose-order-at-rollback":
      return edited(orderEditor);
    case "forget-attempts-at-recovery":
      // The count stands behind the row's key, and both are big-endian.
      return {
        ...ports,
        hash: forgingPen(ports.hash, [deliveryCountRecord, redeliverLaterRecord], (view, at) =>
          view.setUint16(at + 8, 0),
        ),
      };
    case "forget-duplicates-at-recovery":
      return { ...ports, hash: forgingPen(ports.hash, [messageRecord], changeDuplicateId) };
    case "forget-deliveries-at-recovery":
      return {
        ...ports,
        hash: forgingPen(ports.hash, [dispatchLimitRecord], (view, at) => {
          view.setUint32(at + 1, 0);
          view.setUint32(at + 5, 0);
        }),
      };
  }
}

/** The layout is that of `broker/src/state/message-layout.ts`. */
function changeDuplicateId(view: DataView, at: number): void {
  const flags = view.getUint8(at);
  // Where last values or diverts stand before it, it is left alone.
  if ((flags & 2) === 0 || (flags & 128) !== 0 || view.getUint8(at + 1) !== 0) return;
  const targets = view.getUint32(at + 4) * 12;
  const mark = (flags & 1) === 0 ? 0 : 28;
  const times = ((flags & 4) === 0 ? 0 : 8) + ((flags & 8) === 0 ? 0 : 8);
  const group = (flags & 32) === 0 ? 0 : 4;
  const transaction = (flags & 64) === 0 ? 0 : 8;
  view.setUint8(at + 16 + targets + mark + times + group + transaction, 0x21);
}
