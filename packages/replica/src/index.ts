/** Layer 3: a member of a replication group at work. Open `links.ts` first. */
export type { Links, LinksListener } from "./links.ts";
