/** The newest protocol version that we speak: Artemis 2.37 to 2.56. */
export const versionNewest = 136;

/** The oldest that we accept: Artemis 2.0. */
export const versionOldest = 129;

/** Whether a client of this version can be served. */
export function isSupportedVersion(version: number): boolean {
  return version >= versionOldest && version <= versionNewest;
}
