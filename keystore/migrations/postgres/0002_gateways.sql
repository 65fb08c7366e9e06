-- Who serves from this keystore: a row for each incarnation of a gateway's keeper, renewed several times a second. No
-- index but the primary key, so that a renewal stays within its page; the page is kept nearly empty and swept often.
-- applied: the change its word holds. cut_seq: the one that all its workers have applied, and ended what it ends.
-- told: JSON, what the newest changes ended there, and the requests that could not be stopped any more.
-- keks: the ids of the KEKs it has loaded, separated by blanks. left_at: Unix seconds, NULL while it serves.

CREATE TABLE nqgate.gateway (
  id       uuid    PRIMARY KEY,
  name     text    COLLATE "C" NOT NULL,
  renewals bigint  NOT NULL DEFAULT 0,
  applied  bigint  NOT NULL DEFAULT 0,
  cut_seq  bigint  NOT NULL DEFAULT 0,
  told     text    NOT NULL DEFAULT '{}',
  keks     text    COLLATE "C" NOT NULL,
  protocol bigint  NOT NULL,
  fenced   boolean NOT NULL DEFAULT false,
  left_at  bigint
) WITH (
  fillfactor = 30,
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 50,
  autovacuum_vacuum_cost_delay = 0
);
