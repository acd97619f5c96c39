/** Where the API is. */
export const ENDPOINT = '/graphql';
