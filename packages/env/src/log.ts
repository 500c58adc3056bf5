/** What a log line says besides its message. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * Where transitions are written down (never single messages). `message` is a constant sentence, the
 * particulars are fields, so that lines can be searched and counted.
 */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}
