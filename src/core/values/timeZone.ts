/** Time zones by their IANA names. */

/** Whether a name is that of an IANA zone. An offset such as +02:00 is none: it has no summer time, so it is hardly ever meant. */
export function isTimeZone(name: string): boolean {
  try {
    return /^[A-Za-z]/.test(name) && new Intl.DateTimeFormat('en', { timeZone: name }) !== null;
  } catch {
    return false;
  }
}
