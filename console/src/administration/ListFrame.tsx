/** The frame of an administrator's list: what is wrong, that it is empty, and how to see more. */
import type { ReactElement, ReactNode } from 'react';
import { EmptyState } from '../ui/EmptyState';
import type { Pages } from './usePages';

interface ListFrameProps {
  readonly pages: Pages<unknown>;
  readonly empty: string;
  readonly children: ReactNode;
}

export function ListFrame({ pages, empty, children }: ListFrameProps): ReactElement {
  return (
    <>
      {pages.error ? <p className="problem">{pages.error.message}</p> : null}
      {pages.loading ? <p className="quiet loading">Loading …</p> : null}
      {!pages.loading && pages.items.length === 0 ? <EmptyState title={empty} /> : children}
      {pages.more ? (
        <p className="more">
          <button type="button" className="button" onClick={pages.more}>
            Show more
          </button>
        </p>
      ) : null}
    </>
  );
}
