/** What HTTP/1.1 asks of every server: absolute-form targets, and offers to upgrade that may be ignored. */
import { IncomingMessage } from 'node:http';

/**
 * A request whose `Upgrade` offer counts only if it is for WebSocket. A server may ignore an offer (RFC 9110, 7.8), and
 * Java's HttpClient offers HTTP/2 with every first request.
 */
export class UpgradableRequest extends IncomingMessage {
  private offered: unknown = false;

  /** Node reads it to decide between the events `upgrade` and `request`. */
  get upgrade(): boolean {
    return Boolean(this.offered) && offersWebSocket(this.headers.upgrade);
  }

  set upgrade(offered: unknown) {
    this.offered = offered;
  }
}

function offersWebSocket(offer: string | undefined): boolean {
  return (offer ?? '').split(',').some((protocol) => protocol.trim().toLowerCase() === 'websocket');
}

/**
 * Replaces an absolute-form target (`GET http://host/path`), which every server must accept, by its path. Its host replaces
 * the header `Host` (RFC 9112, 3.2.2).
 */
export function useOriginForm(request: IncomingMessage): void {
  const target = request.url ?? '';
  if (!/^https?:\/\//i.test(target) || !URL.canParse(target)) return;
  const { host, pathname, search } = new URL(target);
  request.url = `${pathname}${search}`;
  request.headers.host = host;
}
