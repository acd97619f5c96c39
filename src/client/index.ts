/** What a client of Serin may import: `serin/client`. */
export { type Delivery, FeedRefused, type FollowOptions, followFeed } from './followFeed.ts';
