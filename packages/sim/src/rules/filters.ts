/** What a filter can see of a message. */
export interface Filtered {
  readonly color: string | undefined;
  readonly size: number | undefined;
  readonly priority: number;
  readonly durable: boolean;
}

/** A selector and what it means, written down a second time without a parser. */
export interface Filter {
  readonly text: string;
  readonly matches: (message: Filtered) => boolean;
}

/** Unknown is not true: a message without the property matches neither a comparison nor its opposite. */
export const filters: readonly Filter[] = [
  { text: "color = 'red'", matches: ({ color }) => color === "red" },
  { text: "color <> 'red'", matches: ({ color }) => color !== undefined && color !== "red" },
  { text: "NOT (color = 'red')", matches: ({ color }) => color !== undefined && color !== "red" },
  { text: "color IS NULL", matches: ({ color }) => color === undefined },
  { text: "size > 5", matches: ({ size }) => size !== undefined && size > 5 },
  {
    text: "size BETWEEN 2 AND 6 OR color = 'blue'",
    matches: ({ size, color }) =>
      (size !== undefined && size >= 2 && size <= 6) || color === "blue",
  },
  { text: "color LIKE '%e%'", matches: ({ color }) => color?.includes("e") === true },
  {
    text: "color NOT IN ('red', 'green')",
    matches: ({ color }) => color !== undefined && !["red", "green"].includes(color),
  },
  {
    text: "JMSPriority >= 5 AND size + 1 < 8.5",
    matches: ({ size, priority }) => priority >= 5 && size !== undefined && size + 1 < 8.5,
  },
  { text: "JMSDeliveryMode = 'PERSISTENT'", matches: ({ durable }) => durable },
  { text: "size = '5'", matches: () => false },
];

/** The filter of a number; `undefined` for −1. */
export function filterOf(number: number): Filter | undefined {
  return filters[number];
}
