import { divertRoutings, type DivertsByName } from "@everhold/broker";
import { z } from "zod";

import { choice, flag, leaf, text } from "./leaves.ts";

/** `diverts`: rules by which messages for one address go to others, by name. */
export const diverts = z.record(
  z.string(),
  z.strictObject({
    address: text("the name of an address"),
    /** Where they go: a name or a list of names. */
    forwardingAddress: leaf("the name of an address, or a list of names", (value) => {
      if (typeof value === "string" && value !== "") return [value];
      if (!Array.isArray(value) || value.length === 0) return undefined;
      const names = value.filter((one): one is string => typeof one === "string" && one !== "");
      return names.length === value.length ? names : undefined;
    }),
    exclusive: flag().optional(),
    filter: text("a selector").optional(),
    routingType: choice(divertRoutings).optional(),
  }),
);

/** What a valid configuration says of diverts, in the broker's words. */
export function divertsByName(found: z.output<typeof diverts>): DivertsByName {
  return Object.fromEntries(
    Object.entries(found).map(([name, divert]) => {
      const { address, forwardingAddress, exclusive, filter, routingType } = divert;
      const options = {
        address,
        forwardingAddress,
        ...(exclusive === undefined ? {} : { exclusive }),
        ...(filter === undefined ? {} : { filter }),
        ...(routingType === undefined ? {} : { routingType }),
      };
      return [name, options];
    }),
  );
}
