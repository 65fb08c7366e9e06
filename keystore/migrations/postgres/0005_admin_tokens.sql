-- Admin tokens: with which people and programs use the control plane. No secret and no seal: a hash stands in the record.

CREATE TABLE nqgate.admin_token (
  token_id   text   COLLATE "C" PRIMARY KEY,
  account    text   COLLATE "C" NOT NULL,
  version    bigint NOT NULL,
  created_at bigint NOT NULL,
  record     bytea  NOT NULL,
  kek_id     text   COLLATE "C" NOT NULL,
  mac        bytea  NOT NULL
);

ALTER TABLE nqgate.change ADD COLUMN token text COLLATE "C";
CREATE INDEX change_of_token ON nqgate.change (token, seq) WHERE token IS NOT NULL;
DROP INDEX nqgate.change_of_account;
CREATE INDEX change_of_account ON nqgate.change (account, seq)
  WHERE access_key_id IS NULL AND bucket IS NULL AND token IS NULL;
