// Who looks at the page, and what he may do.

import { createContext, useContext } from 'react';

export interface Who {
  role: 'viewer' | 'operator';
  login: boolean;
}

export const WhoContext = createContext<Who>({ role: 'viewer', login: false });

/** Whether whoever looks may also change something. */
export const useMayChange = (): boolean => useContext(WhoContext).role === 'operator';
