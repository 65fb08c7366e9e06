-- The keystore. Bytes decide (record, body, mac); the other columns are an index, cross-checked when a row is read.
-- Text is compared byte by byte (COLLATE "C"). No sequence objects: seq is counted under the lock of the store row.

CREATE TABLE nqgate.store (
  only_row   bigint PRIMARY KEY CHECK (only_row = 1),
  store_id   text   COLLATE "C" NOT NULL,
  generation bigint NOT NULL,
  seq        bigint NOT NULL,
  head       bytea  NOT NULL,
  lease_ms   bigint NOT NULL,
  min_kek    text   COLLATE "C" NOT NULL,
  protocol   bigint NOT NULL,
  kek_id     text   COLLATE "C" NOT NULL,
  canary     bytea  NOT NULL,
  mac        bytea  NOT NULL
);

-- The log of every mutation, contiguous from 1, and the audit log. Ids ever deleted stay known here.
CREATE TABLE nqgate.change (
  seq           bigint PRIMARY KEY,
  request_id    text   COLLATE "C" NOT NULL UNIQUE,
  kind          text   COLLATE "C" NOT NULL,
  account       text   COLLATE "C" NOT NULL,
  access_key_id text   COLLATE "C",
  actor         text   COLLATE "C" NOT NULL,
  at            bigint NOT NULL,
  body          bytea  NOT NULL,
  record_sha256 bytea  NOT NULL,
  kek_id        text   COLLATE "C" NOT NULL,
  mac           bytea  NOT NULL,
  bucket        text   COLLATE "C"
);

CREATE INDEX change_of_access_key ON nqgate.change (access_key_id, seq) WHERE access_key_id IS NOT NULL;
CREATE INDEX change_of_bucket ON nqgate.change (bucket, seq) WHERE bucket IS NOT NULL;
CREATE INDEX change_of_account ON nqgate.change (account, seq) WHERE access_key_id IS NULL AND bucket IS NULL;

CREATE TABLE nqgate.account (
  name            text   COLLATE "C" PRIMARY KEY,
  number          text   COLLATE "C" NOT NULL UNIQUE,
  version         bigint NOT NULL,
  created_at      bigint NOT NULL,
  record          bytea  NOT NULL,
  kek_id          text   COLLATE "C" NOT NULL,
  mac             bytea  NOT NULL,
  upstream_sealed bytea
);

CREATE TABLE nqgate.access_key (
  access_key_id text   COLLATE "C" PRIMARY KEY,
  account       text   COLLATE "C" NOT NULL,
  version       bigint NOT NULL,
  created_at    bigint NOT NULL,
  record        bytea  NOT NULL,
  secret_sealed bytea  NOT NULL,
  kek_id        text   COLLATE "C" NOT NULL,
  mac           bytea  NOT NULL
);

CREATE INDEX access_key_of_account ON nqgate.access_key (account, created_at, access_key_id);

CREATE TABLE nqgate.bucket (
  name    text   COLLATE "C" PRIMARY KEY,
  account text   COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  record  bytea  NOT NULL,
  kek_id  text   COLLATE "C" NOT NULL,
  mac     bytea  NOT NULL
);

CREATE INDEX bucket_of_account ON nqgate.bucket (account, name);
