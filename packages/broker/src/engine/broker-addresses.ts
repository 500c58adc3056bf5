/** Where requests are sent to. As in Artemis; no queue is needed. */
export const managementAddress = "activemq.management";

/** Where notifications come from, to every queue that is bound there. As in Artemis. */
export const notificationsAddress = "activemq.notifications";
