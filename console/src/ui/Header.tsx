/** The top of every page: where one can go, whether the values are live, who is signed in. */
import type { ReactElement } from 'react';
import { Link, useLocation } from 'wouter';
import { useClockRate } from '../api/clock';
import { useSession } from '../api/hooks';
import { signOut } from '../api/session';
import { Lamp } from './Lamp';
import { chooseTheme, THEMES, type Theme, useTheme } from './theme';
import { useMay, useViewer } from './viewer';

const THEME_SIGNS: Record<Theme, string> = { system: '◑', light: '☀', dark: '☾' };

export function Header(): ReactElement {
  const viewer = useViewer();
  const { credentials } = useSession();
  const rate = useClockRate();
  const theme = useTheme();
  const nextTheme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'system';
  return (
    <header className="header">
      <Link href="/" className="brand" aria-label="Serin, overview">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <path className="line-canary" d="M4 21c4 0 6-10 11-10s6 5 12 3" />
          <path className="line-stable" d="M4 25c6 0 8-4 12-4s6 2 12 1" />
          <circle className="brand-dot" cx="27" cy="9" r="2.6" />
        </svg>
        Serin
      </Link>
      <nav aria-label="Pages" className="nav">
        <NavLink href="/">Overview</NavLink>
        <NavLink href="/history">History</NavLink>
        <NavLink href="/strategies">Strategies</NavLink>
        <NavLink href="/policy">Policy lab</NavLink>
        <NavLink href="/safety">Safety</NavLink>
        {useMay('ADMIN') ? <NavLink href="/administration">Administration</NavLink> : null}
      </nav>
      <div className="header-end">
        {rate === 1 ? null : (
          <span className="badge tone-wait" title="The clock of this server runs faster than yours">
            Clock ×{rate}
          </span>
        )}
        <Lamp />
        <button
          type="button"
          className="icon-button"
          onClick={() => chooseTheme(nextTheme)}
          aria-label={`Theme: ${theme}. Change to ${nextTheme}`}
          title={`Theme: ${theme}`}
        >
          {THEME_SIGNS[theme]}
        </button>
        <span className="viewer" title={`${viewer.actor}, ${viewer.role}`}>
          {viewer.actor} <span className="quiet">{viewer.role.toLowerCase()}</span>
        </span>
        {credentials === null ? null : (
          <button type="button" className="button button-quiet" onClick={signOut}>
            Sign out
          </button>
        )}
      </div>
    </header>
  );
}

interface NavLinkProps {
  readonly href: string;
  readonly children: string;
}

function NavLink({ href, children }: NavLinkProps): ReactElement {
  const [location] = useLocation();
  const here =
    href === '/' ? location === '/' || /^\/(deployments|new)/.test(location) : location.startsWith(href);
  return (
    <Link href={href} className="nav-link" {...(here ? { 'aria-current': 'page' as const } : {})}>
      {children}
    </Link>
  );
}
