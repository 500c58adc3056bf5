import { rule, type RuleGroup } from "./delivery-rule.ts";

/** A13: which messages a consumer wants. */
export const selectorRules: RuleGroup = {
  id: "A13",
  title: "Selectors",
  rules: [
    rule(
      "A13.0",
      "wire",
      [
        "Comparisons, BETWEEN, IN, LIKE with ESCAPE, IS NULL, arithmetic, NOT, AND, OR, in SQL's precedence; literals as in Java; keywords in any case, names in theirs; a text that is none is refused when it is given (JMS 3.8).",
        "All of it; the refusal shows the place. A selector costs no more than its length times that of the values it looks at, and cannot exhaust the stack.",
      ],
      {
        tests: [
          "every construct of the language chooses what it says",
          "every selector says of every message what the specification says",
          "a selector that is not one is refused",
          "a refusal says what was found, what is expected, and shows the place",
          "selectors of the greatest length are evaluated, however they are nested",
          "any text is either a selector or refused with its code",
        ],
      },
    ),
    rule(
      "A13.1",
      "wire",
      [
        "Three-valued logic: what is compared or computed with NULL is unknown; only true selects.",
        "The same.",
      ],
      {
        tests: ["every selector says of every message what the specification says"],
      },
    ),
    rule(
      "A13.2",
      "wire",
      [
        "Whole and fractional numbers compare with Java's promotion; any other mix is false, not unknown; texts and truth values know `=` and `<>` only.",
        "The same. Longs are exact over all 64 bits; a long and a double compare as doubles, as in Java.",
      ],
      {
        tests: ["only numbers have an order: a selector that could never match is refused"],
      },
    ),
    rule(
      "A13.3",
      "wire",
      ["LIKE: `%` any run, `_` one character, ESCAPE; unknown for NULL, as IN is.", "The same."],
      {
        tests: [
          "LIKE agrees with a regular expression",
          "a long pattern is matched against a long value, and refused where it could cost too much",
        ],
      },
    ),
    rule(
      "A13.4",
      "wire",
      [
        "What a queue's consumer does not want stays for others; a subscription never gets what it does not want.",
        "The same: a subscription's filter decides when a message is routed. An address with many filtered subscriptions finds those that may want a message by an index.",
      ],
      {
        tests: [
          "consumers with different selectors share a queue",
          "a filter of a subscription keeps only what matches",
          "of many filtered subscriptions each gets what it asks for, changed ones and restored ones too",
          "the index finds the queues that asking each one finds, while queues come, change and go",
        ],
      },
    ),
    rule(
      "A13.5",
      "wire",
      [
        "Artemis cannot look past the page it has read for a rare match.",
        "Every consumer with a filter has its own place in the queue and looks at each message once.",
      ],
      {
        tests: [
          "a filter finds a rare message far behind others",
          "a selector finds a message behind thousands of others",
        ],
      },
    ),
    rule("A13.6", "wire", [
      "Divergence 1: ActiveMQ and Artemis read `NOT color = 'red'` as `(NOT color) = 'red'`, which is never true.",
      "`NOT` binds looser than a comparison, as JMS says.",
    ]),
    rule("A13.7", "wire", [
      "Divergence 2: in ActiveMQ and Artemis two missing properties are equal.",
      "Nothing is equal to NULL: unknown, on either side.",
    ]),
    rule("A13.8", "wire", [
      "Divergence 3: there `/` always gives a double, `5 / 2 = 2` is false; `%` is an extension.",
      "Java's promotion: `5 / 2` is 2, `5 / 2.0` is 2.5; a whole number divided by zero is NULL. `%` is taken, with the same promotion.",
    ]),
    rule("A13.9", "wire", [
      "Divergence 4: there comments are skipped.",
      "JMS has none: `/*` is refused, and `--` is two signs.",
    ]),
    rule("A13.10", "wire", [
      "Divergence 5: there names are ASCII. Java's client reads a selector itself before it sends it, so it refuses others whatever the broker takes.",
      "Names are Java's: letters of every script. As in Artemis a name in double quotes may hold anything.",
    ]),
    rule("A13.11", "wire", [
      "Divergence 6: there `+` joins texts.",
      "A text is no number: a literal one is refused, one of a property gives NULL.",
    ]),
    rule("A13.12", "wire", [
      "Divergence 7: there some pairs of types lose digits when they are compared.",
      "Each pair is compared in the type that Java's promotion gives, rounded once.",
    ]),
    rule("A13.13", "wire", [
      "Divergence 8: there are functions, XPATH and XQUERY, and the prefixes `convert_string_expressions:` and `hyphenated_props:`.",
      "Both prefixes are taken, for Artemis documents them; functions, XPATH and XQUERY are refused.",
    ]),
  ],
};
