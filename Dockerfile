# Serin for production: no embedded database, no compiler, not as root. DATABASE_URL says where PostgreSQL is.
FROM node:24-bookworm-slim AS build
WORKDIR /serin
COPY package.json package-lock.json ./
COPY patches ./patches
RUN npm ci --no-fund --no-audit
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY console ./console
COPY scripts ./scripts
COPY schema.graphql ./
RUN npm run build

FROM node:24-bookworm-slim AS dependencies
WORKDIR /serin
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-fund --no-audit \
  && find node_modules -name "*.map" -delete
# The PostgreSQL driver with its patch.
COPY --from=build /serin/node_modules/postgres ./node_modules/postgres

FROM node:24-bookworm-slim
WORKDIR /serin
ENV NODE_ENV=production HOST=0.0.0.0 PORT=4000
COPY --from=dependencies /serin/node_modules ./node_modules
COPY --from=build /serin/dist ./dist
COPY package.json schema.graphql LICENSE ./
COPY drizzle ./drizzle
USER node
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD node -e "fetch('http://127.0.0.1:' + process.env.PORT + '/ready').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"
CMD ["node", "dist/main.js"]
