/** Layer 3: the ZooKeeper client. */
export type { RequestSpec } from "./session/request.ts";
