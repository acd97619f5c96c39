/** A variable that cannot be used: the message is for the person who set it. */
export class BadEnvironment extends Error {}
