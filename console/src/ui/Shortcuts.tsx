/** Keys for what is done often. `?` shows them; they can be switched off there. */
import { Dialog } from '@base-ui/react/dialog';
import { type ReactElement, useEffect, useEffectEvent, useRef, useState } from 'react';
import { useLocation } from 'wouter';
import { useStored } from './useStored';

const PAGES: Readonly<Record<string, readonly [string, string]>> = {
  o: ['/', 'Overview'],
  n: ['/new', 'New deployment'],
  h: ['/history', 'History'],
  s: ['/strategies', 'Strategies'],
  p: ['/policy', 'Policy lab'],
  f: ['/safety', 'Safety'],
  a: ['/administration', 'Administration'],
};

/** Within this time the second key of a pair must follow. */
const PAIR_MS = 1200;

export function Shortcuts(): ReactElement {
  const [open, setOpen] = useState(false);
  const [keys, setKeys] = useStored('serin.keys', 'on');
  const [, go] = useLocation();
  const goAt = useRef(0);

  const press = useEffectEvent((event: KeyboardEvent) => {
    if (keys !== 'on' || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    // What is begun in a dialog is not left for another page by a key.
    if (document.querySelector('[role="dialog"][data-open]')) return;
    const page = performance.now() - goAt.current < PAIR_MS ? PAGES[event.key] : undefined;
    goAt.current = event.key === 'g' ? performance.now() : 0;
    if (page) go(page[0]);
    else if (event.key === '?') setOpen(true);
    else if (event.key === 'j' || event.key === 'k') step(event.key === 'j' ? 1 : -1);
    else if (event.key === '/') {
      const target = document.querySelector('[data-shortcut="/"]');
      if (!(target instanceof HTMLElement)) return;
      target.focus();
      event.preventDefault();
    }
  });
  useEffect(() => {
    const listen = (event: KeyboardEvent) => press(event);
    addEventListener('keydown', listen);
    return () => removeEventListener('keydown', listen);
  }, []);

  return (
    <Dialog.Root open={open} onOpenChange={setOpen}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <Dialog.Title className="dialog-title">Keys</Dialog.Title>
          <dl className="keys">
            <dt>
              <kbd>/</kbd>
            </dt>
            <dd>Search</dd>
            <dt>
              <kbd>j</kbd> <kbd>k</kbd>
            </dt>
            <dd>Next and previous deployment</dd>
            {Object.entries(PAGES).map(([key, [, name]]) => (
              <div key={key} className="keys-row">
                <dt>
                  <kbd>g</kbd> <kbd>{key}</kbd>
                </dt>
                <dd>{name}</dd>
              </div>
            ))}
            <dt>
              <kbd>?</kbd>
            </dt>
            <dd>These keys</dd>
          </dl>
          <label className="check">
            <input
              type="checkbox"
              checked={keys === 'on'}
              onChange={({ target }) => setKeys(target.checked ? 'on' : 'off')}
            />{' '}
            Use these keys
          </label>
          <Dialog.Close className="button">Close</Dialog.Close>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName))
  );
}

/** Moves the focus to the next or previous deployment of the page. */
function step(by: number): void {
  const links = [...document.querySelectorAll<HTMLElement>('.card-link')];
  const at = links.indexOf(
    document.activeElement instanceof HTMLElement ? document.activeElement : document.body,
  );
  links[Math.max(0, Math.min(links.length - 1, at + by))]?.focus();
}
