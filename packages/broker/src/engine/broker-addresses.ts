import { limits } from "../limits.ts";

/** Whether an address or a queue may have this name. */
export function isName(name: string): boolean {
  return name.length > 0 && name.length <= limits.nameCharsMax && !name.includes("::");
}

/** Where requests are sent to. As in Artemis; no queue is needed. */
export const managementAddress = "activemq.management";

/** Where notifications come from, to every queue that is bound there. As in Artemis. */
export const notificationsAddress = "activemq.notifications";
