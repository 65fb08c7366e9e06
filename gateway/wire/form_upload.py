"""An upload form: its fields are read first, for they hold the claim; then its file goes the way of any upload."""

from gateway.post_form import FormRequest, form_payload
from gateway.s3.form_data import Block, FormReader
from gateway.wire.engine import Engine
from gateway.wire.heads import ChunkedBody
from gateway.wire.reply import FormAnswer
from gateway.wire.roles import Asking, Outlet, Upload
from gateway.wire.streamed import Streamed
from gateway.wire.upload import hold_or_stream
from keystore.errors import NotKnownYet


class FormUpload:
    """Until the fields are complete, 20 KiB at most, nobody is authenticated and nothing is kept but those."""

    __slots__ = ("_content_length", "_engine", "_exchange", "_file", "_form", "_reader")

    def __init__(self, engine: Engine, exchange: Asking, form: FormRequest, body: int | ChunkedBody) -> None:
        self._engine = engine
        self._exchange = exchange
        self._form = form
        self._content_length = body if type(body) is int else None
        self._reader = FormReader(form.boundary)
        self._file: Upload | None = None

    @property
    def sent(self) -> bool:
        return self._file is not None and self._file.sent

    def begin(self) -> None:
        if self._content_length == 0:
            self._reader.finish()
        self._exchange.pull_body()

    def block(self, block: bytes | memoryview, *, final: bool) -> None:
        if self._file is not None:
            self._file.block(block, final=final)
            return
        begun = self._reader.feed(block)
        if self._reader.file_begun:
            self._admit(begun, final=final)
        elif final:
            self._reader.finish()

    def _admit(self, begun: list[Block], *, final: bool) -> None:
        try:
            self._go_on(begun, final=final)
        except NotKnownYet as unknown:
            kept: list[Block] = [bytes(piece) for piece in begun]  # the read buffer is everybody's
            self._exchange.client.pause_reading()
            self._exchange.later(unknown, lambda: self._admit_now(kept, final=final))

    def _admit_now(self, begun: list[Block], *, final: bool) -> None:
        self._exchange.client.resume_reading()
        try:
            self._go_on(begun, final=final)
        except NotKnownYet:
            self._exchange.client.pause_reading()
            raise

    def _go_on(self, begun: list[Block], *, final: bool) -> None:
        """The fields are here: whose form is it, and where does its file go?"""
        admitted = self._exchange.admit_form(self._form, self._reader.fields, self._reader.filename)
        self._exchange.foresee(FormAnswer(self._engine, self._exchange, admitted))
        limits = self._engine.limits
        held = max(limits.spool_memory, limits.spool_file)
        payload = form_payload(admitted, self._reader, begun, self._content_length, held)
        file = self._file = hold_or_stream(self._engine, self._exchange, payload, admitted.authorized)
        if isinstance(file, Streamed):
            self._exchange.client.pause_reading()  # until there is a connection
            file.begin()
        else:
            file.block(b"", final=final)

    def connected(self, outlet: Outlet) -> None:
        if self._file is not None:
            self._file.connected(outlet)

    def resumed(self) -> None:
        if self._file is not None:
            self._file.resumed()

    def release(self) -> None:
        if self._file is not None:
            self._file.release()
