/** An invalid environment variable; the message is for the person who set it. */
export class BadEnvironment extends Error {}
