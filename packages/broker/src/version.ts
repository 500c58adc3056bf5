/** The version of Everhold that this broker is part of; a test compares it with the package's. */
export const version = "0.1.0";
