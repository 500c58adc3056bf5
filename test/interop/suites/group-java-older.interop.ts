import { groupClients } from "../support/group-clients.ts";

groupClients(["javax-2.31", "jakarta-2.44"]);
