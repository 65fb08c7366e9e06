-- When keys were last used and last denied, written in batches. Under no MAC: nothing decides by it, and it may be lost.
-- Times are Unix seconds. Rows are rewritten in their page, so some of each is left free.

CREATE TABLE nqgate.usage (
  access_key_id text COLLATE "C" PRIMARY KEY,
  used_at       bigint,
  operation     text,
  bucket        text,
  source        text,
  region        text,
  user_agent    text,
  denied_at     bigint,
  reason        text,
  denied_bucket text
) WITH (fillfactor = 70);
