import { groupClients } from "../support/group-clients.ts";

groupClients(["jakarta-2.56"]);
