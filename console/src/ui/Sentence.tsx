/** A sentence of Serin with the instants in it in the viewer's zone, as everywhere else. */
import type { ReactElement, ReactNode } from 'react';
import { Instant } from './Instant';

/** An instant as Serin writes it. */
const INSTANT = /\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z/g;

export function Sentence({ text }: { readonly text: string }): ReactElement {
  const parts: ReactNode[] = [];
  let end = 0;
  for (const { 0: at, index } of text.matchAll(INSTANT)) {
    parts.push(text.slice(end, index), <Instant key={index} at={at} />);
    end = index + at.length;
  }
  return (
    <>
      {parts}
      {text.slice(end)}
    </>
  );
}
