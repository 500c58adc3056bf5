import { parseArgs, type ParseArgsConfig } from "node:util";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** Ends the program, with exit code 2: its command line says something that it does not know. */
export function refuse(text: string): never {
  process.stderr.write(`torture: ${text}\n`);
  process.exit(2);
}

/** What the command line says of these options; others are refused. */
export function readOptions<const T extends Options>(
  options: T,
): ReturnType<typeof parseArgs<{ options: T }>>["values"] {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    const names = Object.keys(options).map((name) => `--${name}`);
    return refuse(`${found}; there are ${names.join(", ")}`);
  }
}

/** The value of an option that is a whole number of `least` or more. */
export function wholeNumber(name: string, text: string, least = 0): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(value) && value >= least) return value;
  return refuse(`expected a whole number from ${least} on for --${name}, found "${text}"`);
}

/** The value of an option that is one of these words. */
export function oneOf<T extends string>(name: string, word: string, words: readonly T[]): T {
  const found = words.find((one) => one === word);
  return found ?? refuse(`expected --${name} of ${words.join(", ")}, found "${word}"`);
}
