/**
 * The rules of graphql-eslint for schemas: naming, descriptions, Relay connections. Everything else is Biome's. Run by
 * `npm run check` on `schema.graphql`.
 */
import graphql from '@graphql-eslint/eslint-plugin';

export default [
  {
    files: ['**/*.graphql'],
    plugins: { '@graphql-eslint': graphql },
    languageOptions: {
      parser: graphql.parser,
      parserOptions: { graphQLConfig: { schema: './schema.graphql' } },
    },
    rules: {
      ...graphql.configs['flat/schema-recommended'].rules,
      ...graphql.configs['flat/schema-relay'].rules,
      '@graphql-eslint/input-name': ['error', { checkInputType: false }],
      '@graphql-eslint/no-scalar-result-type-on-mutation': 'error',
      '@graphql-eslint/require-deprecation-reason': 'error',
      '@graphql-eslint/require-description': [
        'error',
        {
          types: true,
          rootField: true,
          FieldDefinition: true,
          InputValueDefinition: true,
          EnumValueDefinition: false,
        },
      ],
      // Values (a gate, an interval, a page) belong to their owner and have no identity of their own.
      '@graphql-eslint/strict-id-in-types': 'off',
      // The log is read forward: a cursor of it resumes a feed. Connections that page both ways still do.
      '@graphql-eslint/relay-arguments': ['error', { includeBoth: false }],
      // A sample is a value of its deployment; short bounded lists (gates, reasons, steps) need no cursor.
      '@graphql-eslint/relay-edge-types': [
        'error',
        { withEdgeSuffix: true, shouldImplementNode: false, listTypeCanWrapOnlyEdgeType: false },
      ],
    },
  },
];
