/** Layer 3: a member of a replication group at work. Open `links.ts` first. */
export { MemberDriver, type MemberDriverParts, type MemberHost } from "./driver/member-driver.ts";
export type {
  JournalPin,
  MemberJournal,
  MemberJournalListener,
  Piece,
} from "./driver/member-journal.ts";
export { FillClient, type FillClientParts, type FillTarget } from "./fill/fill-client.ts";
export { groupTiming, type GroupTiming } from "./driver/timing.ts";
export { PieceClient } from "./mend/piece-client.ts";
export type { Links, LinksListener } from "./links.ts";
export {
  openLinks,
  type LinksOptions,
  type LinksPorts,
  type MemberPlace,
  type OpenLinks,
} from "./network/open-links.ts";
