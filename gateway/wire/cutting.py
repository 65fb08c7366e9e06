"""What becomes of running requests when a key or a bucket changes under them.

Each is put before the same judge again. One that would be refused now is ended: with 403 while its reply has not begun,
with a reset after that, so that nobody takes a part for the whole. What the store already has in full cannot be called
back; it is counted, its answer is relayed, and whoever revoked is told.
"""

from typing import Final

from gateway.authorize import Authorized
from gateway.s3.errors import Code, S3Error
from gateway.wire.engine import LOG, Engine
from gateway.wire.roles import Running

_READING: Final = frozenset({b"GET", b"HEAD"})


class Cutter:
    """One per event loop. `on_change` is what the directory of this loop calls."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def on_change(self, seq: int, access_key_id: str | None) -> None:
        """`access_key_id`: of the changed key; None when every request must be looked at. Raises nothing."""
        self._engine.changes += 1
        cut, in_store = 0, []
        for client in self._engine.clients:
            exchange = client.exchange
            authorized = None if exchange is None else exchange.admitted
            if exchange is None or authorized is None:
                continue
            if access_key_id is not None and authorized.access_key.access_key_id != access_key_id:
                continue
            try:
                error = _refusal(exchange)
                if error is None:
                    continue
                if _is_in_store(exchange):
                    exchange.in_store_of = (*exchange.in_store_of, seq)
                    in_store.append(named(authorized))
                else:
                    exchange.failed(error)
                    cut += 1
            except Exception:
                LOG.exception("cutting a request failed: its connection is reset")
                client.reset()
                cut += 1
        if cut or in_store:
            self._engine.transfers_cut += cut
            self._engine.transfers_past_recall += len(in_store)
            self._engine.board.tell(seq, cut, in_store)

    def on_lapse(self) -> None:
        """Nothing can be proven any more, so nothing more of what runs is released: whoever revokes elsewhere counts on
        it. What the store has in full is answered. Raises nothing.
        """
        for client in self._engine.clients:
            exchange = client.exchange
            try:
                if exchange is not None and exchange.admitted is not None and not _is_in_store(exchange):
                    exchange.failed(S3Error(Code.SERVICE_UNAVAILABLE, "the keystore's lease ran out", retry_after=1))
            except Exception:
                LOG.exception("ending a request failed: its connection is reset")
                client.reset()


def _refusal(exchange: Running) -> S3Error | None:
    """Why it may not go on. A keystore that cannot answer ends nothing: what is released next asks again."""
    try:
        exchange.judge_again()
    except S3Error as error:
        return None if error.code is Code.SERVICE_UNAVAILABLE else error
    return None


def _is_in_store(exchange: Running) -> bool:
    """Whether the store may act on it whatever we do. A download is ended all the same."""
    method = exchange.sent_method
    return method is not None and method not in _READING and exchange.request_sent


def named(authorized: Authorized) -> str:
    """What was asked, for people: PutObject bucket/key."""
    request = authorized.request
    return f"{authorized.operation.name} {request.bucket}/{request.object_key.decode('utf-8', 'replace')}"
