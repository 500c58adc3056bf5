import { settingNames, settingTable } from "./setting-table.ts";

/** The reference of all settings of addresses, as a document in Markdown. */
export function settingsDocument(): string {
  return [
    "# Settings of addresses",
    "",
    "What can be said of addresses and their queues: under `addressSettings` of `everhold.yaml`, or at run time with",
    "`everhold settings set` (`addAddressSettings` in [MANAGEMENT.md](MANAGEMENT.md)). Each set of settings stands",
    "under a **match**: a name in which `*` is any one word and `#` at the end any number of words; words are separated",
    "by dots. `orders.#` means `orders`, `orders.eu` and `orders.eu.paid`.",
    "",
    "What several matches say of one address is put together setting by setting; the most specific match is heard:",
    "an exact name before `*`, `*` before `#`, of two with `#` the longer one. Words and rules are those of Apache",
    "Artemis, in camelCase.",
    "",
    "```yaml",
    "addressSettings:",
    '  "#": { maxDeliveryAttempts: 5, redeliveryDelay: 2s }',
    '  "orders.#": { deadLetterAddress: orders.dead, maxSizeBytes: 1GiB }',
    '  "news.*": { deadLetterAddress: ~ } # none: dead messages are dropped',
    "```",
    "",
    "What is given at run time is kept over restarts. It takes the place of all that the file says for the same match,",
    "until it is removed (`everhold settings unset`). There, names and values may be those of Artemis, which differ in",
    "`redeliveryMultiplier`, `sendToDLAOnNoRoute`, `addressFullMessagePolicy`, in words in capitals",
    "(`MESSAGES_PER_SECOND`), and in `slowConsumerCheckPeriod`, which is in seconds there; all other times are ms and",
    "sizes bytes.",
    "",
    "Settings that begin with `default` are given to queues and addresses when they are created, as far as their",
    "creator says nothing, and stay with them. All others hold from the moment that they are changed.",
    "",
    "| Setting | Default | Meaning | Expected |",
    "| --- | --- | --- | --- |",
    ...settingNames.map(row),
  ].join("\n");
}

function row(name: (typeof settingNames)[number]): string {
  const { default: byDefault, doc, expected, unit } = settingTable[name];
  const shown = byDefault === undefined ? "none" : byDefault === "" ? '""' : String(byDefault);
  const withUnit = unit === "ms" || unit === "bytes" ? `${expected} ${unit}` : expected;
  return `| \`${name}\` | ${shown} | ${doc} | ${withUnit} |`;
}
