/** A choice of the viewer that the browser keeps. */
import { useState } from 'react';

export function useStored(key: string, standard: string): [string, (value: string) => void] {
  const [value, setValue] = useState(() => localStorage.getItem(key) ?? standard);
  const choose = (next: string) => {
    localStorage.setItem(key, next);
    setValue(next);
  };
  return [value, choose];
}
