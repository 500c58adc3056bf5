/** Ids of channels from here on are those of sessions; below are the protocol's own. */
export const firstSessionChannel = 10;
