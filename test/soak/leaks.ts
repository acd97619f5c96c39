/** Leaks on purpose, to check the soak: each is one line of the built program changed. */
import type { Mutation } from '../faults/mutations.ts';

export const LEAKS: readonly Mutation[] = [
  {
    name: 'a subscription that is not forgotten',
    file: 'feed/feed.js',
    line: 'const leave = topics.join({ filter, take: queue.push, rewound });',
    becomes: 'topics.join({ filter, take: queue.push, rewound }); const leave = () => {};',
    foundAs: ['streams'],
  },
  {
    name: 'a socket that is remembered',
    file: 'server/webSocket/webSocketServer.js',
    line: 'closed: (socket) => open.delete(socket),',
    becomes: 'closed: (socket) => { open.delete(socket); (globalThis.remembered ??= []).push(socket); },',
    foundAs: ['heap over visits'],
  },
];
