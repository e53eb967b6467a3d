"""Whoever offers an upgrade is answered as if not (RFC 9110 7.8): uvicorn's protocol, for which none is ever offered.

httptools ends such a request at its head and takes what follows for another protocol. Here another parser is given
the head once more, without the offer, and then the rest; the application sees one plain request.
"""

from __future__ import annotations

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.edge.refusals import NO_PROXY, Refused


class NoUpgrades(HttpToolsProtocol):
    """`parse` instead of the parser's feed_data; on_request and on_whole_request instead of its two callbacks."""

    _offered = b""

    def parse(self, data: bytes) -> None:
        """Raises what the parser raises."""
        rest = memoryview(data)
        while rest:
            try:
                self.parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as ended:
                rest = rest[ended.args[0] :]
            head, self._offered = self._offered, b""
            self.renew_parser()
            self.parser.feed_data(head)

    def renew_parser(self) -> None:
        """One that has seen nothing yet."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does

    def on_request(self) -> None:
        super().on_headers_complete()

    def on_whole_request(self) -> None:
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        if self.parser.get_method() == b"CONNECT":
            raise Refused(NO_PROXY)
        if self.parser.should_upgrade():
            self._offered = self._head_without_offer()
        else:
            self.on_request()

    def on_message_complete(self) -> None:
        if not self._offered:
            self.on_whole_request()

    def _head_without_offer(self) -> bytes:
        start = (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        lines = [b"%s: %s\r\n" % pair for pair in self.headers if pair[0] != b"upgrade"]
        return b"%s %s HTTP/%s\r\n%s\r\n" % (*start, b"".join(lines))
