/** The frame of a list that is read page by page: what is wrong, that it is empty, and how to see more. */
import type { ReactElement, ReactNode } from 'react';
import { EmptyState } from './EmptyState';
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
      {pages.items.length > 0 ? children : null}
      {!pages.loading && !pages.error && pages.items.length === 0 ? <EmptyState title={empty} /> : null}
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
